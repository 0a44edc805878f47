#include "cam.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__GNUC__) && defined(__x86_64__)
#define CAM_X86 1
#include <immintrin.h>
#endif

// kernels.inc once for each instruction set. GCC and Clang have vector types; elsewhere the plain loops do.
#define CAM_WIDTH 8
namespace cam::scalar {
namespace {
#include "kernels.inc"
}  // namespace
}  // namespace cam::scalar
#undef CAM_WIDTH

#if defined(__GNUC__)
#define CAM_BASELINE 1
#define CAM_WIDTH 16
namespace cam::baseline {
namespace {
#include "kernels.inc"
}  // namespace
}  // namespace cam::baseline
#undef CAM_WIDTH
#endif

#if CAM_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#define CAM_WIDTH 32
namespace cam::avx2 {
namespace {
#include "kernels.inc"
}  // namespace
}  // namespace cam::avx2
#undef CAM_WIDTH
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl")
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // in its own header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define CAM_WIDTH 64
namespace cam::avx512 {
namespace {
#include "kernels.inc"
}  // namespace
}  // namespace cam::avx512
#undef CAM_WIDTH
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif
#endif

namespace cam {

std::vector<Tap> linear_taps(std::size_t from, std::size_t to) {
  std::vector<Tap> taps(to);
  for (std::size_t i = 0; i < to; i++) {
    const double x =
        std::max(0.0, (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5);
    const std::size_t low = std::min(static_cast<std::size_t>(x), from - 1);
    taps[i] = {low, std::min(low + 1, from - 1), x - static_cast<double>(low)};
  }
  return taps;
}

Plan::Plan(const Settings& settings, std::size_t channels, const Axes& layer, const Axes& size)
    : settings(settings), channels(channels), layer(layer), size(size) {
  for (int axis = 0; axis < layer.rank; axis++) taps[axis] = linear_taps(layer.dims[axis], size.dims[axis]);
}

std::size_t Plan::scratch() const {
  std::size_t total = layer.size();
  std::size_t inner = 1;
  for (int axis = layer.rank - 1; axis > 0; axis--) {
    std::size_t blocks = 1;
    for (int i = 0; i < axis; i++) blocks *= layer.dims[i];
    inner *= size.dims[axis];
    total += blocks * inner;
  }
  return total + inner;
}

bool has(InstructionSet set) {
  switch (set) {
    case InstructionSet::scalar:
      return true;
#if CAM_BASELINE
    case InstructionSet::baseline:
      return true;
#endif
#if CAM_X86
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2");
    case InstructionSet::avx512:
      // Processors before these instructions (Ice Lake, Zen 4) slow down for vectors of 512 bits.
      return __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi2");
#endif
    default:
      return false;
  }
}

bool map_image(const Plan& plan, const Image& image, const Output& output, double* scratch, InstructionSet set) {
  switch (set) {
#if CAM_X86
    case InstructionSet::avx512:
      return avx512::map_image(plan, image, output, scratch);
    case InstructionSet::avx2:
      return avx2::map_image(plan, image, output, scratch);
#endif
#if CAM_BASELINE
    case InstructionSet::baseline:
      return baseline::map_image(plan, image, output, scratch);
#endif
    default:
      return scalar::map_image(plan, image, output, scratch);
  }
}

}  // namespace cam
