#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/**
 * The map stage: activations and gradients to class activation maps, src/map/backend.ts. Pure functions over spans of
 * floats: no globals, no Node. Every intermediate is double; results are rounded to float once.
 */
namespace cam {

/** In the order of `mapMethods`. */
enum class Method { grad_cam_plus_plus, grad_cam, cam, xgrad_cam, hires_cam, layer_cam };
constexpr int method_count = 6;

struct Settings {
  Method method;
  bool softmax;
  bool alpha_normalization;
  bool gradient_relu;
};

/** Dims, outermost first. */
struct Axes {
  int rank;  // 1 to 3
  std::size_t dims[3];

  std::size_t size() const {
    std::size_t product = 1;
    for (int i = 0; i < rank; i++) product *= dims[i];
    return product;
  }
};

/** Where an output coordinate lies between two input coordinates: a + t (b − a). */
struct Tap {
  std::size_t low;
  std::size_t high;
  double t;
};

/** Half-pixel centres: input coordinate (i + ½) · from / to − ½, clamped to the edges. */
std::vector<Tap> linear_taps(std::size_t from, std::size_t to);

/** What all images of a request share. */
struct Plan {
  Settings settings;
  std::size_t channels;
  Axes layer;
  Axes size;
  std::vector<Tap> taps[3];

  Plan(const Settings& settings, std::size_t channels, const Axes& layer, const Axes& size);

  /** Doubles that `map_image` needs to work in. */
  std::size_t scratch() const;
};

/** One image's planes, [channels, ...layer] each; `weights` is [channels]. Null where the method needs none. */
struct Image {
  const float* activations;
  const float* gradients;
  const float* weights;
  const float* mean;
  const float* variance;
  const float* third;
};

/** One image's results: [...layer], [...size], one. */
struct Output {
  float* raw;
  float* map;
  std::uint8_t* empty;
};

enum class InstructionSet { scalar, baseline, avx2, avx512 };

/** Whether this processor has it and this compiler could use it. */
bool has(InstructionSet set);

/**
 * Raw map, upsampled and normalised map of one image. False where an input is not finite: the outputs then mean
 * nothing. Every instruction set gives the same bits.
 */
bool map_image(const Plan& plan, const Image& image, const Output& output, double* scratch, InstructionSet set);

}  // namespace cam
