#include "picture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "clones.h"
#include "four.h"

namespace cam {

namespace {

/** 0…1 → 0…255, rounded; NaN → 0. */
CAM_CLONES void bytes_of(const float* values, std::size_t count, std::uint8_t* out) {
  std::size_t i = 0;
  for (; i + 4 <= count; i += 4) store_four(bytes_of_four(values + i), out + i);
  float rest[4] = {};
  std::uint8_t bytes[4];
  std::copy(values + i, values + count, rest);
  store_four(bytes_of_four(rest), bytes);
  std::copy_n(bytes, count - i, out + i);
}

/** Fixed-point share of 2¹⁶, rounded. */
std::int32_t share_of(double x) { return static_cast<std::int32_t>(std::round(x * 65536)); }

CAM_CLONES void scale(const std::uint8_t* pixels, std::size_t count, std::uint32_t factor, std::uint8_t* out) {
  if (factor == 65536) {
    if (out != pixels) std::memmove(out, pixels, count);
    return;
  }
  for (std::size_t i = 0; i < count; i++) out[i] = static_cast<std::uint8_t>((pixels[i] * factor + 32768) >> 16);
}

/** pixel · keep + colour of the pixel's index, in RGB; reads and writes one byte more than that. */
CAM_CLONES void blend_row(const std::uint8_t* pixels, const std::uint8_t* indices, std::size_t count,
                          const Four* colours, std::int32_t keep, std::uint8_t* out) {
  for (std::size_t i = 0; i < count; i++)
    store_four((load_four(pixels + 3 * i) * keep + colours[indices[i]]) >> 16, out + 3 * i);
}

/** The largest value, or 0; NaN is none. */
CAM_CLONES float largest(const float* values, std::size_t count) {
  float most[16] = {};  // side by side, they need not wait for each other
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (std::size_t k = 0; k < 16; k++) most[k] = values[i + k] > most[k] ? values[i + k] : most[k];
  for (; i < count; i++) most[0] = std::max(most[0], values[i]);
  return *std::max_element(most, most + 16);
}

double between(double x, double most) { return std::min(std::max(x, 0.0), most); }

}  // namespace

void stretch_map(const float* map, std::size_t h, std::size_t w, const Rectangle& over, const PixelBox& box,
                 float* out) {
  struct Tap {
    std::size_t left;
    std::size_t right;
    double later;
  };
  std::vector<Tap> taps(box.width);
  const double to_column = static_cast<double>(w) / over.width;
  for (std::size_t i = 0; i < box.width; i++) {
    const double center = static_cast<double>(box.left + i) + 0.5;
    const double at = between((center - over.x) * to_column - 0.5, static_cast<double>(w - 1));
    const std::size_t left = static_cast<std::size_t>(at);
    taps[i] = {left, std::min(left + 1, w - 1), at - static_cast<double>(left)};
  }
  std::vector<double> row(w);  // the map between two of its rows
  const double to_row = static_cast<double>(h) / over.height;
  for (std::size_t j = 0; j < box.height; j++) {
    const double center = static_cast<double>(box.top + j) + 0.5;
    const double at = between((center - over.y) * to_row - 0.5, static_cast<double>(h - 1));
    const std::size_t index = static_cast<std::size_t>(at);
    const float* upper = map + index * w;
    const float* lower = map + std::min(index + 1, h - 1) * w;
    const double share = at - static_cast<double>(index);
    for (std::size_t x = 0; x < w; x++) {
      const double value = upper[x];
      row[x] = value + share * (static_cast<double>(lower[x]) - value);
    }
    for (const Tap& tap : taps) {
      const double value = row[tap.left];
      *out++ = static_cast<float>(value + tap.later * (row[tap.right] - value));
    }
  }
}

void blend(const std::uint8_t* pixels, std::size_t width, std::size_t height, const PixelBox& box, const float* map,
           const std::uint8_t* table, double opacity, double outside, std::uint8_t* out) {
  const std::int32_t share = share_of(opacity);
  const std::int32_t keep = 65536 - share;
  const std::uint32_t dim = share_of(outside);
  std::vector<Four> colours;
  for (std::size_t i = 0; i < 768; i += 3) {
    const std::uint8_t colour[] = {table[i], table[i + 1], table[i + 2], 0};
    colours.push_back(load_four(colour) * share + four_of(32768));
  }

  const std::size_t row = width * 3;
  const std::size_t first = box.left * 3;
  const std::size_t length = box.width * 3;
  const std::size_t last = first + length;
  const std::size_t bottom = box.top + box.height;
  std::vector<std::uint8_t> indices(box.width);
  std::vector<std::uint8_t> before(length + 1);
  std::vector<std::uint8_t> after(length + 1);
  scale(pixels, box.top * row, dim, out);
  for (std::size_t y = box.top; y < bottom; y++, map += box.width) {
    const std::uint8_t* from = pixels + y * row;
    std::uint8_t* to = out + y * row;
    scale(from, first, dim, to);
    bytes_of(map, box.width, indices.data());
    std::copy_n(from + first, length, before.begin());
    blend_row(before.data(), indices.data(), box.width, colours.data(), keep, after.data());
    std::copy_n(after.begin(), length, to + first);
    scale(from + last, row - last, dim, to + last);
  }
  scale(pixels + bottom * row, (height - bottom) * row, dim, out + bottom * row);
}

void normalize_channel(const std::uint8_t* source, std::size_t positions, std::size_t channels,
                       const ChannelSteps& steps, float* out, std::size_t step) {
  float table[256];
  for (int value = 0; value < 256; value++)
    table[value] = (static_cast<float>(value / steps.divisor) - steps.mean) / steps.std;
  const std::uint8_t* from = source + steps.source;
  for (std::size_t p = 0; p < positions; p++) out[p * step] = table[from[p * channels]];
}

void normalize_channel(const float* source, std::size_t positions, std::size_t channels, const ChannelSteps& steps,
                       float* out, std::size_t step) {
  const float* from = source + steps.source;
  for (std::size_t p = 0; p < positions; p++) {
    const float value = static_cast<float>(static_cast<double>(from[p * channels]) / steps.divisor);
    out[p * step] = (value - steps.mean) / steps.std;
  }
}

std::vector<Run> salient_runs(const float* map, std::size_t rows, std::size_t width, double share) {
  const float maximum = largest(map, rows * width);
  const double least = std::max(share * static_cast<double>(maximum), std::numeric_limits<double>::denorm_min());
  // The least float that is not below it, so that floats need not be widened to be compared.
  float limit = static_cast<float>(least);
  if (static_cast<double>(limit) < least) limit = std::nextafter(limit, std::numeric_limits<float>::infinity());
  std::vector<Run> runs;
  for (std::size_t y = 0; y < rows; y++) {
    const std::size_t stop = (y + 1) * width;
    for (std::size_t i = y * width; i < stop; i++) {
      if (!(map[i] >= limit)) continue;
      const std::size_t start = i;
      double mass = 0;
      for (; i < stop && map[i] >= limit; i++) mass += static_cast<double>(map[i]);
      runs.push_back({static_cast<double>(start), static_cast<double>(i), mass});
    }
  }
  return runs;
}

}  // namespace cam
