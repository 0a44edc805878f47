#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

/** Pixels of up to four channels as four whole numbers, each operation on all of them at once. */
namespace cam {

#if defined(__GNUC__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
typedef std::int32_t Four __attribute__((vector_size(16)));
typedef std::uint8_t FourBytes __attribute__((vector_size(16)));

inline Four four_of(std::int32_t value) { return Four{value, value, value, value}; }

/** Four bytes from `from` on. */
inline Four load_four(const std::uint8_t* from) {
  std::int32_t all;
  std::memcpy(&all, from, sizeof all);
  const FourBytes packed = reinterpret_cast<FourBytes>(Four{all, 0, 0, 0});
  return reinterpret_cast<Four>(
      __builtin_shufflevector(packed, FourBytes{}, 0, 16, 16, 16, 1, 16, 16, 16, 2, 16, 16, 16, 3, 16, 16, 16));
}

/** The lowest bytes, four of them. */
inline void store_four(const Four& four, std::uint8_t* to) {
  const FourBytes packed = __builtin_shufflevector(reinterpret_cast<FourBytes>(four), FourBytes{}, 0, 4, 8, 12, 16, 16,
                                                   16, 16, 16, 16, 16, 16, 16, 16, 16, 16);
  const std::int32_t all = reinterpret_cast<Four>(packed)[0];
  std::memcpy(to, &all, sizeof all);
}

/** 0…1 → 0…255 of four floats from `from` on, rounded; NaN → 0. */
inline Four bytes_of_four(const float* from) {
  typedef float Floats __attribute__((vector_size(16)));
  typedef double Doubles __attribute__((vector_size(32)));
  Floats value;
  std::memcpy(&value, from, sizeof value);
  value = value > 0 ? value : Floats{};
  value = value < 1 ? value : Floats{} + 1;
  return __builtin_convertvector(__builtin_convertvector(value, Doubles) * 255 + 0.5, Four);
}

/** Each within 0 … 255. */
inline Four clip(const Four& four) {
  const Four least = four > 0 ? four : Four{};
  return least < 255 ? least : four_of(255);
}
#else
struct Four {
  std::int32_t v[4];

  Four& operator+=(const Four& other) {
    for (int c = 0; c < 4; c++) v[c] += other.v[c];
    return *this;
  }
};

inline Four four_of(std::int32_t value) { return {{value, value, value, value}}; }

inline Four load_four(const std::uint8_t* from) { return {{from[0], from[1], from[2], from[3]}}; }

inline void store_four(const Four& four, std::uint8_t* to) {
  for (int c = 0; c < 4; c++) to[c] = static_cast<std::uint8_t>(four.v[c]);
}

inline Four bytes_of_four(const float* from) {
  Four four;
  for (int i = 0; i < 4; i++) {
    const float value = from[i] > 0 ? (from[i] < 1 ? from[i] : 1) : 0;
    four.v[i] = static_cast<std::int32_t>(static_cast<double>(value) * 255 + 0.5);
  }
  return four;
}

inline Four clip(Four four) {
  for (int c = 0; c < 4; c++) four.v[c] = four.v[c] < 0 ? 0 : four.v[c] > 255 ? 255 : four.v[c];
  return four;
}

inline Four operator+(Four a, const Four& b) { return a += b; }

inline Four operator*(Four four, std::int32_t factor) {
  for (int c = 0; c < 4; c++) four.v[c] *= factor;
  return four;
}

inline Four operator>>(Four four, int bits) {
  for (int c = 0; c < 4; c++) four.v[c] >>= bits;
  return four;
}
#endif

}  // namespace cam
