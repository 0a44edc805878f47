#include "crc.h"

#include <array>

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define CAM_CARRYLESS 1
#endif

namespace cam {

namespace {

constexpr std::uint32_t polynomial = 0xEDB88320;

constexpr std::uint32_t times_x(std::uint32_t c) { return c & 1 ? polynomial ^ (c >> 1) : c >> 1; }

constexpr std::array<std::uint32_t, 256> table_of_bytes() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t n = 0; n < 256; n++) {
    std::uint32_t c = n;
    for (int bit = 0; bit < 8; bit++) c = times_x(c);
    table[n] = c;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> table = table_of_bytes();

std::uint32_t one_by_one(const std::uint8_t* bytes, std::size_t count, std::uint32_t c) {
  for (std::size_t i = 0; i < count; i++) c = table[(c ^ bytes[i]) & 255] ^ (c >> 8);
  return c;
}

#ifdef CAM_CARRYLESS

/** x^n modulo the polynomial, reflected, as a factor: the product of two reflected numbers is one bit short. */
constexpr long long power(int n) {
  std::uint32_t c = 0x80000000;
  for (int i = 0; i < n; i++) c = times_x(c);
  return static_cast<long long>(c) << 1;
}

/** What moves 16 bytes forward by so many bits: factors of their first and second half. */
struct Step {
  long long first;
  long long second;
};

constexpr Step step_of(int bits) { return {power(bits + 32), power(bits - 32)}; }

__attribute__((target("pclmul"))) inline __m128i load(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}

/** The same remainder, further on, plus what is there. */
__attribute__((target("pclmul"))) inline __m128i moved(__m128i x, __m128i step, __m128i there) {
  const __m128i first = _mm_clmulepi64_si128(x, step, 0x00);
  const __m128i second = _mm_clmulepi64_si128(x, step, 0x11);
  return _mm_xor_si128(_mm_xor_si128(first, second), there);
}

/**
 * Sixty-four bytes at a time, each quarter moved onto the next sixty-four and added (V. Gopal and others, "Fast CRC
 * Computation for Generic Polynomials Using PCLMULQDQ Instruction", Intel 2009); what is left at the end is sixteen bytes of
 * the same remainder. From 64 bytes on.
 */
__attribute__((target("pclmul"))) std::uint32_t folded(const std::uint8_t* bytes, std::size_t count, std::uint32_t c) {
  constexpr Step far = step_of(512);
  constexpr Step near = step_of(128);
  const __m128i by_four = _mm_set_epi64x(far.second, far.first);
  const __m128i by_one = _mm_set_epi64x(near.second, near.first);
  __m128i x[4];
  for (int k = 0; k < 4; k++) x[k] = load(bytes + 16 * k);
  x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128(static_cast<int>(c)));
  std::size_t at = 64;
  for (; at + 64 <= count; at += 64)
    for (int k = 0; k < 4; k++) x[k] = moved(x[k], by_four, load(bytes + at + 16 * k));
  for (int k = 1; k < 4; k++) x[k] = moved(x[k - 1], by_one, x[k]);
  for (; at + 16 <= count; at += 16) x[3] = moved(x[3], by_one, load(bytes + at));
  std::uint8_t left[16];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(left), x[3]);
  return one_by_one(bytes + at, count - at, one_by_one(left, sizeof left, 0));
}

#endif

}  // namespace

bool has_fast_crc() {
#ifdef CAM_CARRYLESS
  return __builtin_cpu_supports("pclmul");
#else
  return false;
#endif
}

std::uint32_t crc32(const std::uint8_t* bytes, std::size_t count, std::uint32_t start) {
#ifdef CAM_CARRYLESS
  if (count >= 64 && has_fast_crc()) return ~folded(bytes, count, ~start);
#endif
  return ~one_by_one(bytes, count, ~start);
}

}  // namespace cam
