#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/** The inner loops of pictures: src/image/blend.ts, normalize.ts, deflate.ts and runs.ts in C++, bit for bit. */
namespace cam {

/** Whole pixels of a picture. */
struct PixelBox {
  std::size_t left;
  std::size_t top;
  std::size_t width;
  std::size_t height;
};

/** Part of a picture; pixel (0, 0) covers 0…1 in x and y. */
struct Rectangle {
  double x;
  double y;
  double width;
  double height;
};

/** A map [h, w] stretched over a rectangle, sampled at the centres of the box's pixels: `out` is [height, width]. */
void stretch_map(const float* map, std::size_t h, std::size_t w, const Rectangle& over, const PixelBox& box,
                 float* out);

/**
 * Inside the box pixel · (1 − opacity) + table[map] · opacity, outside pixel · outside; RGB, 16-bit fixed point.
 * `map` is [box.height, box.width], `table` 256 colours, `out` may be `pixels`.
 */
void blend(const std::uint8_t* pixels, std::size_t width, std::size_t height, const PixelBox& box, const float* map,
           const std::uint8_t* table, double opacity, double outside, std::uint8_t* out);

/** One channel of the output: where it comes from, and (value / divisor − mean) / std, each step in float. */
struct ChannelSteps {
  std::size_t source;
  double divisor;
  float mean;
  float std;
};

/** [positions, channels] → every `step`-th element of `out`, for one channel. */
void normalize_channel(const std::uint8_t* source, std::size_t positions, std::size_t channels,
                       const ChannelSteps& steps, float* out, std::size_t step);
void normalize_channel(const float* source, std::size_t positions, std::size_t channels, const ChannelSteps& steps,
                       float* out, std::size_t step);

/** Positions `start` to `end` − 1 of a map, all in one row, and the sum of their values. */
struct Run {
  double start;
  double end;
  double mass;
};

/** Runs of positive values of at least `share` of the map's maximum, in reading order; the map is [rows, width]. */
std::vector<Run> salient_runs(const float* map, std::size_t rows, std::size_t width, double share);

}  // namespace cam
