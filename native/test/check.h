#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>

/** The whole test framework: a failed check says where and what, and the program ends with 1 from `report`. */
inline int checks = 0;
inline int failures = 0;

#define CHECK(condition)                                                \
  do {                                                                  \
    checks++;                                                           \
    if (!(condition)) {                                                 \
      failures++;                                                       \
      std::printf("%s:%d: not %s\n", __FILE__, __LINE__, #condition);   \
    }                                                                   \
  } while (0)

/** NaN is never near anything. */
inline void check_near(double actual, double expected, double tolerance, const char* file, int line) {
  checks++;
  if (std::fabs(actual - expected) <= tolerance) return;
  failures++;
  std::printf("%s:%d: %.17g instead of %.17g\n", file, line, actual, expected);
}

#define CHECK_NEAR(...) check_near(__VA_ARGS__, __FILE__, __LINE__)

inline int report() {
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}

/** Uniform in [0, 1), the same on every platform. */
class Random {
 public:
  explicit Random(unsigned seed) : state_(seed) {}
  double next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<double>(state_ >> 40) / 16777216.0;
  }
  std::size_t whole(std::size_t from, std::size_t to) {
    return from + static_cast<std::size_t>(next() * static_cast<double>(to - from + 1));
  }

 private:
  unsigned long long state_;
};
