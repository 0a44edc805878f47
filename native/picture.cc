#include "picture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace cam {

namespace {

/** 0…1 → 0…255, rounded; NaN → 0. */
std::uint8_t byte_of(float value) {
  if (!(value > 0)) return 0;
  return value < 1 ? static_cast<std::uint8_t>(static_cast<double>(value) * 255 + 0.5) : 255;
}

/** Fixed-point share of 2¹⁶, rounded. */
std::uint32_t share_of(double x) { return static_cast<std::uint32_t>(std::round(x * 65536)); }

void scale(const std::uint8_t* pixels, std::size_t count, std::uint32_t factor, std::uint8_t* out) {
  if (factor == 65536) {
    if (out != pixels) std::memmove(out, pixels, count);
    return;
  }
  for (std::size_t i = 0; i < count; i++) out[i] = static_cast<std::uint8_t>((pixels[i] * factor + 32768) >> 16);
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
  const std::uint32_t share = share_of(opacity);
  const std::uint32_t keep = 65536 - share;
  const std::uint32_t dim = share_of(outside);
  std::uint32_t colours[768];
  for (std::size_t i = 0; i < 768; i++) colours[i] = table[i] * share + 32768;

  const std::size_t row = width * 3;
  const std::size_t first = box.left * 3;
  const std::size_t last = (box.left + box.width) * 3;
  const std::size_t bottom = box.top + box.height;
  scale(pixels, box.top * row, dim, out);
  for (std::size_t y = box.top; y < bottom; y++) {
    const std::uint8_t* from = pixels + y * row;
    std::uint8_t* to = out + y * row;
    scale(from, first, dim, to);
    for (std::size_t p = first; p < last; p += 3) {
      const std::uint32_t* colour = colours + 3 * byte_of(*map++);
      for (std::size_t c = 0; c < 3; c++) to[p + c] = static_cast<std::uint8_t>((from[p + c] * keep + colour[c]) >> 16);
    }
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

std::uint32_t filter_average(const std::uint8_t* data, std::size_t row, std::size_t rows, std::size_t channels,
                             std::uint8_t* out, std::uint32_t* counts) {
  std::vector<std::uint32_t> several(4 * 256, 0);  // one after another, equal bytes need not wait for each other
  std::uint32_t low = 1;
  std::uint32_t high = 0;
  const std::size_t first = std::min(row, channels);
  for (std::size_t y = 0; y < rows; y++) {
    const std::uint8_t* from = data + y * row;
    std::uint8_t* to = out + y * (row + 1);
    *to = 3;
    if (y == 0) {
      for (std::size_t i = 0; i < first; i++) to[1 + i] = from[i];
      for (std::size_t i = first; i < row; i++) to[1 + i] = static_cast<std::uint8_t>(from[i] - (from[i - channels] >> 1));
    } else {
      const std::uint8_t* above = from - row;
      for (std::size_t i = 0; i < first; i++) to[1 + i] = static_cast<std::uint8_t>(from[i] - (above[i] >> 1));
      for (std::size_t i = first; i < row; i++)
        to[1 + i] = static_cast<std::uint8_t>(from[i] - ((from[i - channels] + above[i]) >> 1));
    }
    for (std::size_t i = 0; i < row + 1;) {
      const std::size_t stop = std::min<std::size_t>(i + 5552, row + 1);
      for (; i < stop; i++) {
        several[(i & 3) * 256 + to[i]]++;
        low += to[i];
        high += low;
      }
      low %= 65521;
      high %= 65521;
    }
  }
  for (std::size_t value = 0; value < 256; value++)
    counts[value] = several[value] + several[256 + value] + several[512 + value] + several[768 + value];
  return high * 65536 + low;
}

std::size_t pack_codes(const std::uint8_t* bytes, std::size_t count, const std::uint32_t* codes, std::uint8_t* out,
                       std::size_t size, std::size_t at) {
  std::size_t o = at >> 3;
  unsigned held = at & 7;
  if (o >= size) return 0;
  std::uint64_t bits = out[o] & ((1u << held) - 1);
  for (std::size_t i = 0; i < count; i++) {
    const std::uint32_t code = codes[bytes[i]];
    bits |= static_cast<std::uint64_t>(code & 0xffff) << held;
    held += code >> 16 & 15;
    if (held < 32) continue;
    if (o + 4 > size) return 0;
    for (int k = 0; k < 4; k++) out[o++] = static_cast<std::uint8_t>(bits >> (8 * k));
    bits >>= 32;
    held -= 32;
  }
  for (; held >= 8; held -= 8, bits >>= 8) {
    if (o >= size) return 0;
    out[o++] = static_cast<std::uint8_t>(bits);
  }
  if (held > 0) {
    if (o >= size) return 0;
    out[o] = static_cast<std::uint8_t>(bits);
  }
  return 8 * o + held;
}

}  // namespace cam
