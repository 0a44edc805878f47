#include "resize.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "clones.h"
#include "four.h"
#include "rows.h"

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

std::size_t behind(const Weights& w, std::size_t channels) { return (w.reach + 3) / 4 * 4 * channels + 4; }

/** Memory that nobody has written to: what is set to zero first and then written over takes as long again. */
using Bytes = std::unique_ptr<std::uint8_t[]>;

/** Rows from `top` on of a picture of `size` bytes: [rows, length of w, channels], and some bytes that mean nothing. */
Bytes resize_rows(const std::uint8_t* source, std::size_t size, std::size_t row_length, std::size_t top,
                  std::size_t rows, std::size_t channels, const Weights& w) {
  const std::size_t length = w.first.size() * channels;
  const std::size_t more = behind(w, channels);
  Bytes out(new std::uint8_t[rows * length + 4]);
  std::vector<std::uint8_t> alone(row_length + more);  // a row with nothing of the picture behind it
  std::size_t y = 0;
  if (channels == 3) {
    const std::size_t last = size > more ? (size - more) / row_length : 0;  // of those with enough behind them
    const std::size_t safe = last > top ? std::min(rows, last - top) : 0;
    y = resize_rows_of_three(source + top * row_length, row_length, safe, w, out.get());
  }
  for (; y < rows; y++) {
    const std::size_t at = (top + y) * row_length;
    const std::uint8_t* row = source + at;
    if (at + row_length + more > size) {
      std::copy_n(row, row_length, alone.begin());
      row = alone.data();
    }
    resize_row(row, channels, w, out.get() + y * length);
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

void resize_columns(const std::uint8_t* source, std::size_t row_length, std::size_t length, const Weights& w,
                    std::uint8_t* out) {
  std::vector<std::int32_t> sums(length);
  for (std::size_t y = 0; y < w.first.size(); y++) {
    std::fill(sums.begin(), sums.end(), half);
    for (std::size_t k = 0; k < w.count[y]; k++)
      add_row(source + (w.first[y] + k) * row_length, w.values[y * w.taps + k], length, sums.data());
    clip_row(sums.data(), length, out + y * length);
  }
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

void resize_pillow(const std::uint8_t* source, std::size_t width, std::size_t height, std::size_t channels,
                   const ResizePlan& plan, Filter filter, std::uint8_t* out) {
  const std::size_t row_length = width * channels;
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
    const std::uint8_t* window = source + plan.window_x * channels;
    if (resizes_down) return resize_columns(window, row_length, length, down, out);
    for (std::size_t y = 0; y < rows; y++)
      std::copy_n(window + (first_row + y) * row_length, length, out + y * length);
    return;
  }
  const Weights across = pillow_weights(width, plan.width, plan.window_x, plan.window_width, filter);
  const Bytes data = resize_rows(source, height * row_length, row_length, first_row, rows, channels, across);
  if (!resizes_down) {
    std::copy_n(data.get(), rows * length, out);
    return;
  }
  for (std::size_t& row : down.first) row -= first_row;
  resize_columns(data.get(), length, length, down, out);
}

}  // namespace cam
