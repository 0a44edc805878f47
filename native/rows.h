#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cam {

/** Fraction bits of Pillow's 8-bit weights. */
inline constexpr int bits = 22;
inline constexpr std::int32_t half = 1 << (bits - 1);

/** For each output position the first source position, how many there are, and their fixed-point weights. */
struct Weights {
  std::size_t taps;
  std::size_t reach = 0;  // the largest count
  std::vector<std::size_t> first;
  std::vector<std::size_t> count;
  std::vector<std::int32_t> values;
};

/**
 * Pillow's first pass over rows of three channels, several at once, where the processor has instructions for it: `out` is
 * [rows, length of w, 3]. Reads up to `reach` pixels and 16 bytes behind a row, and writes one byte behind the last.
 * @returns how many of the rows it did
 */
std::size_t resize_rows_of_three(const std::uint8_t* source, std::size_t row_length, std::size_t rows,
                                 const Weights& w, std::uint8_t* out);

}  // namespace cam
