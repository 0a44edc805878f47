#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__GNUC__) && defined(__x86_64__)
#define CAM_PAIRS 1
#include <immintrin.h>
#endif

#include "clones.h"
#include "four.h"

namespace cam {

namespace {

/** Offsets of the samples on either side of each output position, and the weight of the second. */
struct LinearTaps {
  std::vector<std::size_t> first;
  std::vector<std::size_t> second;
  std::vector<double> weight;
};

/** Coordinates are float, rounded once as by torch's fused multiply-add. */
LinearTaps torch_taps(std::size_t from, std::size_t to, std::size_t start, std::size_t count, std::size_t stride) {
  LinearTaps taps;
  const float scale = static_cast<float>(static_cast<double>(from) / static_cast<double>(to));
  for (std::size_t i = 0; i < count; i++) {
    const double center = static_cast<double>(start + i) + 0.5;
    // One rounding, as torch's fused multiply-add: the product is exact in float64.
    const float position = std::max(0.0f, static_cast<float>(static_cast<double>(scale) * center - 0.5));
    const std::size_t index = std::min(static_cast<std::size_t>(position), from - 1);
    const float later = position - static_cast<float>(index);
    taps.first.push_back(index * stride);
    taps.second.push_back(std::min(index + 1, from - 1) * stride);
    taps.weight.push_back(std::min(std::max(later, 0.0f), 1.0f));
  }
  return taps;
}

double triangle(double distance) {
  const double x = std::fabs(distance);
  return x < 1 ? 1 - x : 0;
}

/** Keys' cubic with a = −½. */
double cubic(double distance) {
  const double a = -0.5;
  const double x = std::fabs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** Fraction bits of Pillow's 8-bit weights. */
constexpr int bits = 22;
constexpr std::int32_t half = 1 << (bits - 1);

/** For each output position the first source position, how many there are, and their fixed-point weights. */
struct Weights {
  std::size_t taps;
  std::size_t reach = 0;  // the largest count
  std::vector<std::size_t> first;
  std::vector<std::size_t> count;
  std::vector<std::int32_t> values;
};

Weights pillow_weights(std::size_t from, std::size_t to, std::size_t start, std::size_t length, Filter filter) {
  const double reach = filter == Filter::bicubic ? 2 : 1;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0);
  const double support = reach * stretch;
  Weights w;
  w.taps = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  w.values.resize(length * w.taps);
  std::vector<double> exact(w.taps);
  for (std::size_t i = 0; i < length; i++) {
    const double center = (static_cast<double>(start + i) + 0.5) * scale;
    const double begin = std::max(0.0, std::trunc(center - support + 0.5));
    const double end = std::min(static_cast<double>(from), std::trunc(center + support + 0.5));
    const std::size_t count = static_cast<std::size_t>(end - begin);
    double sum = 0;
    for (std::size_t k = 0; k < count; k++) {
      const double distance = (static_cast<double>(k) + begin - center + 0.5) * (1 / stretch);
      exact[k] = filter == Filter::bicubic ? cubic(distance) : triangle(distance);
      sum += exact[k];
    }
    for (std::size_t k = 0; k < count; k++) {
      const double value = sum == 0 ? exact[k] : exact[k] / sum;
      w.values[i * w.taps + k] = static_cast<std::int32_t>(value * (1 << bits) + (value < 0 ? -0.5 : 0.5));
    }
    w.first.push_back(static_cast<std::size_t>(begin));
    w.count.push_back(count);
    w.reach = std::max(w.reach, count);
  }
  return w;
}

/**
 * As many taps for every pixel, those that it lacks with weights of zero: numbers that differ cannot be predicted. Reads
 * and writes four bytes a pixel, however many channels there are, hence up to `behind(w, channels)` bytes too many.
 */
CAM_CLONES void resize_row(const std::uint8_t* row, std::size_t channels, const Weights& w, std::uint8_t* out) {
  const std::size_t length = w.first.size();
  const std::size_t reach = w.reach;
  const std::int32_t* weights = w.values.data();
  for (std::size_t x = 0; x < length; x++, weights += w.taps, out += channels) {
    const std::uint8_t* p = row + w.first[x] * channels;
    Four sum = four_of(half);
    for (std::size_t k = 0; k < reach; k++, p += channels) sum += load_four(p) * weights[k];
    store_four(clip(sum >> bits), out);
  }
}

#if CAM_PAIRS
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
 * Two rows of three channels at once, one in each half of a register; the numbers of `resize_row`. Reads 16 bytes for
 * every four taps and writes four bytes a pixel: hence up to `behind(w, 3)` and one byte too many.
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
#endif

std::size_t behind(const Weights& w, std::size_t channels) { return (w.reach + 3) / 4 * 4 * channels + 4; }

/** Rows from `top` on of a picture of `size` bytes: [rows, length of w, channels], and some bytes that mean nothing. */
std::vector<std::uint8_t> resize_rows(const std::uint8_t* source, std::size_t size, std::size_t row_length,
                                      std::size_t top, std::size_t rows, std::size_t channels, const Weights& w) {
  const std::size_t length = w.first.size() * channels;
  const std::size_t more = behind(w, channels);
  std::vector<std::uint8_t> out(rows * length + 4);
  std::vector<std::uint8_t> alone(row_length + more);  // a row with nothing of the picture behind it
  std::size_t y = 0;
#if CAM_PAIRS
  if (channels == 3 && __builtin_cpu_supports("avx2")) {
    const PairedWeights pairs = paired(w);
    for (; y + 2 <= rows && (top + y + 2) * row_length + more <= size; y += 2) {
      const std::uint8_t* row = source + (top + y) * row_length;
      resize_two_rows(row, row + row_length, w, pairs, out.data() + y * length, out.data() + (y + 1) * length);
    }
  }
#endif
  for (; y < rows; y++) {
    const std::size_t at = (top + y) * row_length;
    const std::uint8_t* row = source + at;
    if (at + row_length + more > size) {
      std::copy_n(row, row_length, alone.begin());
      row = alone.data();
    }
    resize_row(row, channels, w, out.data() + y * length);
  }
  return out;
}

CAM_CLONES void add_row(const std::uint8_t* CAM_RESTRICT row, std::int32_t weight, std::size_t length,
                        std::int32_t* CAM_RESTRICT sums) {
  for (std::size_t i = 0; i < length; i++) sums[i] += row[i] * weight;
}

/** Rounds fixed-point sums to 0 … 255. */
CAM_CLONES void clip_row(const std::int32_t* CAM_RESTRICT sums, std::size_t length, std::uint8_t* CAM_RESTRICT out) {
  for (std::size_t i = 0; i < length; i++)
    out[i] = static_cast<std::uint8_t>(std::min(std::max(sums[i] >> bits, 0), 255));
}

std::vector<std::uint8_t> resize_columns(const std::uint8_t* source, std::size_t row_length, std::size_t left,
                                         std::size_t length, const Weights& w) {
  std::vector<std::uint8_t> out(w.first.size() * length);
  std::vector<std::int32_t> sums(length);
  for (std::size_t y = 0; y < w.first.size(); y++) {
    std::fill(sums.begin(), sums.end(), half);
    for (std::size_t k = 0; k < w.count[y]; k++)
      add_row(source + (w.first[y] + k) * row_length + left, w.values[y * w.taps + k], length, sums.data());
    clip_row(sums.data(), length, out.data() + y * length);
  }
  return out;
}

}  // namespace

void resize_torch_bilinear(const std::uint8_t* source, std::size_t width, std::size_t height, std::size_t channels,
                           const ResizePlan& plan, float* out) {
  const LinearTaps across = torch_taps(width, plan.width, plan.window_x, plan.window_width, channels);
  const LinearTaps down = torch_taps(height, plan.height, plan.window_y, plan.window_height, width * channels);
  for (std::size_t y = 0; y < plan.window_height; y++) {
    const std::uint8_t* top = source + down.first[y];
    const std::uint8_t* bottom = source + down.second[y];
    const double lower = down.weight[y];
    const double upper = 1 - lower;
    for (std::size_t x = 0; x < plan.window_width; x++) {
      const std::size_t left = across.first[x];
      const std::size_t right = across.second[x];
      const double later = across.weight[x];
      const double earlier = 1 - later;
      for (std::size_t c = 0; c < channels; c++)
        *out++ = static_cast<float>(upper * (earlier * top[left + c] + later * top[right + c]) +
                                    lower * (earlier * bottom[left + c] + later * bottom[right + c]));
    }
  }
}

std::vector<std::uint8_t> resize_pillow(const std::uint8_t* source, std::size_t width, std::size_t height,
                                        std::size_t channels, const ResizePlan& plan, Filter filter) {
  const std::size_t length = plan.window_width * channels;
  Weights down;
  const bool resizes_down = plan.height != height;
  std::size_t first_row = plan.window_y;
  std::size_t rows = plan.window_height;
  if (resizes_down) {
    down = pillow_weights(height, plan.height, plan.window_y, plan.window_height, filter);
    first_row = down.first.front();
    rows = down.first.back() + down.count.back() - first_row;
  }
  if (plan.width == width) {
    // Every row is there as it is.
    const std::size_t left = plan.window_x * channels;
    if (resizes_down) return resize_columns(source, width * channels, left, length, down);
    std::vector<std::uint8_t> out(rows * length);
    for (std::size_t y = 0; y < rows; y++)
      std::copy_n(source + (first_row + y) * width * channels + left, length, out.data() + y * length);
    return out;
  }
  const Weights across = pillow_weights(width, plan.width, plan.window_x, plan.window_width, filter);
  std::vector<std::uint8_t> data =
      resize_rows(source, width * height * channels, width * channels, first_row, rows, channels, across);
  if (!resizes_down) {
    data.resize(rows * length);
    return data;
  }
  for (std::size_t& row : down.first) row -= first_row;
  return resize_columns(data.data(), length, 0, length, down);
}

}  // namespace cam
