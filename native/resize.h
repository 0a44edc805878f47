#pragma once

#include <cstddef>
#include <cstdint>

/** Resizing as torch and Pillow do it: src/image/resize.ts in C++, bit for bit. Pixels are [height, width, channels]. */
namespace cam {

/** The resized picture's dims, and the window of it that is computed and lies within. */
struct ResizePlan {
  std::size_t width;
  std::size_t height;
  std::size_t window_x;
  std::size_t window_y;
  std::size_t window_width;
  std::size_t window_height;
};

enum class Filter { bilinear, bicubic };

/** Two taps an axis, unrounded; `out` is [window_height, window_width, channels]. */
void resize_torch_bilinear(const std::uint8_t* source, std::size_t width, std::size_t height, std::size_t channels,
                           const ResizePlan& plan, float* out);

/** Antialiased, 22-bit fixed point, rows then columns; `out` is [window_height, window_width, channels]. */
void resize_pillow(const std::uint8_t* source, std::size_t width, std::size_t height, std::size_t channels,
                   const ResizePlan& plan, Filter filter, std::uint8_t* out);

}  // namespace cam
