#include "rows.h"

#include <cstring>

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>

#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // in the compiler's own header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace cam {

namespace {

/**
 * Weights for instructions that multiply 16 bits, two neighbouring taps at once: w = 2¹¹ · high + low. For every output
 * position and four taps: low of taps 0 and 1, low of 2 and 3, high of 0 and 1, high of 2 and 3, each pair in 32 bits.
 */
struct PairedWeights {
  std::size_t groups;
  std::vector<std::int32_t> values;
};

constexpr int low_bits = 11;

PairedWeights paired(const Weights& w) {
  PairedWeights pairs;
  pairs.groups = (w.reach + 3) / 4;
  pairs.values.resize(w.first.size() * pairs.groups * 4);
  std::int32_t* to = pairs.values.data();
  for (std::size_t x = 0; x < w.first.size(); x++)
    for (std::size_t group = 0; group < pairs.groups; group++, to += 4)
      for (std::size_t k = 0; k < 4; k++) {
        const std::size_t tap = 4 * group + k;
        const std::int32_t weight = tap < w.count[x] ? w.values[x * w.taps + tap] : 0;
        const std::int32_t high = weight >> low_bits;
        const std::int32_t low = weight - high * (1 << low_bits);
        const int shift = k % 2 == 0 ? 0 : 16;
        const std::size_t pair = k / 2;
        to[pair] |= static_cast<std::int32_t>(static_cast<std::uint32_t>(low & 0xffff) << shift);
        to[2 + pair] |= static_cast<std::int32_t>(static_cast<std::uint32_t>(high & 0xffff) << shift);
      }
  return pairs;
}

/**
 * Two rows at once, one in each half of a register. Reads 16 bytes for every four taps and writes four bytes a pixel.
 */
__attribute__((target("avx2"))) void resize_two_rows(const std::uint8_t* upper, const std::uint8_t* lower,
                                                     const Weights& w, const PairedWeights& pairs, std::uint8_t* upper_out,
                                                     std::uint8_t* lower_out) {
  // Bytes r0 g0 b0 r1 g1 b1 … to 16 bits each: r0 r1 g0 g1 b0 b1 and two zeros.
  const __m256i first_two = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i last_two = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  const std::int32_t* weights = pairs.values.data();
  std::uint8_t* const start = lower_out;
  std::uint8_t first = 0;  // of the lower row, into which the last pixel of the upper one reaches
  for (std::size_t x = 0; x < w.first.size(); x++, upper_out += 3, lower_out += 3) {
    const std::size_t at = 3 * w.first[x];
    __m256i low = _mm256_set1_epi32(half);
    __m256i high = _mm256_setzero_si256();
    for (std::size_t group = 0; group < pairs.groups; group++, weights += 4) {
      const std::size_t from = at + 12 * group;
      const __m128i above = _mm_loadu_si128(reinterpret_cast<const __m128i*>(upper + from));
      const __m128i below = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lower + from));
      const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(above), below, 1);
      const __m256i a = _mm256_shuffle_epi8(both, first_two);
      const __m256i b = _mm256_shuffle_epi8(both, last_two);
      low = _mm256_add_epi32(low, _mm256_add_epi32(_mm256_madd_epi16(a, _mm256_set1_epi32(weights[0])),
                                                   _mm256_madd_epi16(b, _mm256_set1_epi32(weights[1]))));
      high = _mm256_add_epi32(high, _mm256_add_epi32(_mm256_madd_epi16(a, _mm256_set1_epi32(weights[2])),
                                                     _mm256_madd_epi16(b, _mm256_set1_epi32(weights[3]))));
    }
    const __m256i sum = _mm256_srai_epi32(_mm256_add_epi32(low, _mm256_slli_epi32(high, low_bits)), bits);
    const __m256i words = _mm256_packs_epi32(sum, sum);
    const __m256i bytes = _mm256_packus_epi16(words, words);  // to 0 … 255
    const std::int32_t up = _mm_cvtsi128_si32(_mm256_castsi256_si128(bytes));
    const std::int32_t down = _mm_cvtsi128_si32(_mm256_extracti128_si256(bytes, 1));
    std::memcpy(upper_out, &up, sizeof up);
    std::memcpy(lower_out, &down, sizeof down);
    if (x == 0) first = *start;
  }
  *start = first;
}

/** The same for four rows, `row_length` bytes apart in `rows` and `length` in `out`. */
__attribute__((target("avx512f,avx512bw"))) void resize_four_rows(const std::uint8_t* rows, std::size_t row_length,
                                                                  const Weights& w, const PairedWeights& pairs,
                                                                  std::uint8_t* out, std::size_t length) {
  const __m512i first_two = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m512i last_two = _mm512_broadcast_i32x4(
      _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  const std::int32_t* weights = pairs.values.data();
  std::uint8_t first[4] = {};
  for (std::size_t x = 0; x < w.first.size(); x++) {
    const std::uint8_t* from = rows + 3 * w.first[x];
    __m512i low = _mm512_set1_epi32(half);
    __m512i high = _mm512_setzero_si512();
    for (std::size_t group = 0; group < pairs.groups; group++, weights += 4, from += 12) {
      const auto load = [&](std::size_t y) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + y * row_length));
      };
      __m512i all = _mm512_castsi128_si512(load(0));
      all = _mm512_inserti32x4(all, load(1), 1);
      all = _mm512_inserti32x4(all, load(2), 2);
      all = _mm512_inserti32x4(all, load(3), 3);
      const __m512i a = _mm512_shuffle_epi8(all, first_two);
      const __m512i b = _mm512_shuffle_epi8(all, last_two);
      low = _mm512_add_epi32(low, _mm512_add_epi32(_mm512_madd_epi16(a, _mm512_set1_epi32(weights[0])),
                                                   _mm512_madd_epi16(b, _mm512_set1_epi32(weights[1]))));
      high = _mm512_add_epi32(high, _mm512_add_epi32(_mm512_madd_epi16(a, _mm512_set1_epi32(weights[2])),
                                                     _mm512_madd_epi16(b, _mm512_set1_epi32(weights[3]))));
    }
    const __m512i sum = _mm512_srai_epi32(_mm512_add_epi32(low, _mm512_slli_epi32(high, low_bits)), bits);
    const __m512i words = _mm512_packs_epi32(sum, sum);
    const __m512i bytes = _mm512_packus_epi16(words, words);
    std::uint8_t* to = out + 3 * x;
    const auto store = [&](std::size_t y, __m128i part) {
      const std::int32_t pixel = _mm_cvtsi128_si32(part);
      std::memcpy(to + y * length, &pixel, sizeof pixel);
    };
    store(0, _mm512_castsi512_si128(bytes));
    store(1, _mm512_extracti32x4_epi32(bytes, 1));
    store(2, _mm512_extracti32x4_epi32(bytes, 2));
    store(3, _mm512_extracti32x4_epi32(bytes, 3));
    if (x == 0)
      for (std::size_t y = 1; y < 4; y++) first[y] = out[y * length];
  }
  for (std::size_t y = 1; y < 4; y++) out[y * length] = first[y];
}

}  // namespace

std::size_t resize_rows_of_three(const std::uint8_t* source, std::size_t row_length, std::size_t rows,
                                 const Weights& w, std::uint8_t* out) {
  if (!__builtin_cpu_supports("avx2")) return 0;
  const PairedWeights pairs = paired(w);
  const std::size_t length = 3 * w.first.size();
  std::size_t y = 0;
  if (__builtin_cpu_supports("avx512bw"))
    for (; y + 4 <= rows; y += 4) resize_four_rows(source + y * row_length, row_length, w, pairs, out + y * length, length);
  for (; y + 2 <= rows; y += 2) {
    const std::uint8_t* row = source + y * row_length;
    resize_two_rows(row, row + row_length, w, pairs, out + y * length, out + (y + 1) * length);
  }
  return y;
}

}  // namespace cam

#else

namespace cam {

std::size_t resize_rows_of_three(const std::uint8_t*, std::size_t, std::size_t, const Weights&, std::uint8_t*) {
  return 0;
}

}  // namespace cam

#endif
