#include "resize.h"

#include <algorithm>
#include <cmath>

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
  }
  return w;
}

/** Rounds a fixed-point sum to 0 … 255. */
std::uint8_t clip(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::min(std::max(sum >> bits, 0), 255));
}

template <std::size_t channels>
void resize_row(const std::uint8_t* row, const Weights& w, std::uint8_t* out) {
  for (std::size_t x = 0; x < w.first.size(); x++) {
    const std::int32_t* weights = w.values.data() + x * w.taps;
    const std::uint8_t* p = row + w.first[x] * channels;
    std::int32_t sums[channels];
    for (std::size_t c = 0; c < channels; c++) sums[c] = half;
    for (std::size_t k = 0; k < w.count[x]; k++, p += channels)
      for (std::size_t c = 0; c < channels; c++) sums[c] += p[c] * weights[k];
    for (std::size_t c = 0; c < channels; c++) *out++ = clip(sums[c]);
  }
}

std::vector<std::uint8_t> resize_rows(const std::uint8_t* source, std::size_t row_length, std::size_t top,
                                      std::size_t rows, std::size_t channels, const Weights& w) {
  const std::size_t length = w.first.size() * channels;
  std::vector<std::uint8_t> out(rows * length);
  for (std::size_t y = 0; y < rows; y++) {
    const std::uint8_t* row = source + (top + y) * row_length;
    switch (channels) {
      case 1:
        resize_row<1>(row, w, out.data() + y * length);
        break;
      case 2:
        resize_row<2>(row, w, out.data() + y * length);
        break;
      case 3:
        resize_row<3>(row, w, out.data() + y * length);
        break;
      default:
        resize_row<4>(row, w, out.data() + y * length);
    }
  }
  return out;
}

std::vector<std::uint8_t> resize_columns(const std::uint8_t* source, std::size_t row_length, std::size_t left,
                                         std::size_t length, const Weights& w) {
  std::vector<std::uint8_t> out(w.first.size() * length);
  std::vector<std::int32_t> sums(length);
  for (std::size_t y = 0; y < w.first.size(); y++) {
    std::fill(sums.begin(), sums.end(), half);
    for (std::size_t k = 0; k < w.count[y]; k++) {
      const std::int32_t weight = w.values[y * w.taps + k];
      const std::uint8_t* row = source + (w.first[y] + k) * row_length + left;
      for (std::size_t i = 0; i < length; i++) sums[i] += row[i] * weight;
    }
    for (std::size_t i = 0; i < length; i++) out[y * length + i] = clip(sums[i]);
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
  std::vector<std::uint8_t> data = resize_rows(source, width * channels, first_row, rows, channels, across);
  if (!resizes_down) return data;
  for (std::size_t& row : down.first) row -= first_row;
  return resize_columns(data.data(), length, 0, length, down);
}

}  // namespace cam
