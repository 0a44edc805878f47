#include "cam.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "check.h"

using cam::Axes;
using cam::InstructionSet;
using cam::Method;
using cam::Settings;

namespace {

std::vector<InstructionSet> sets() {
  std::vector<InstructionSet> result;
  for (const InstructionSet set : {InstructionSet::scalar, InstructionSet::baseline, InstructionSet::avx2,
                                   InstructionSet::avx512})
    if (cam::has(set)) result.push_back(set);
  return result;
}

/** One image's inputs in arrays of exactly their length, so that a sanitizer sees every step beyond them. */
struct Case {
  Settings settings;
  std::size_t channels;
  Axes layer;
  Axes size;
  std::vector<float> activations, gradients, weights, mean, variance, third;
};

struct Answer {
  bool finite;
  std::uint8_t empty;
  std::vector<float> raw;
  std::vector<float> map;
};

Answer answer(const Case& c, InstructionSet set) {
  const cam::Plan plan(c.settings, c.channels, c.layer, c.size);
  Answer result{false, 9, std::vector<float>(c.layer.size()), std::vector<float>(c.size.size())};
  std::vector<double> scratch(plan.scratch());
  const auto data = [](const std::vector<float>& v) { return v.empty() ? nullptr : v.data(); };
  result.finite = cam::map_image(plan,
                                 {data(c.activations), data(c.gradients), data(c.weights), data(c.mean),
                                  data(c.variance), data(c.third)},
                                 {result.raw.data(), result.map.data(), &result.empty}, scratch.data(), set);
  return result;
}

const Settings eq19{Method::grad_cam_plus_plus, false, false, true};

void by_hand() {
  for (const InstructionSet set : sets()) {
    // Eq. 19: ΣA = 4, α = 1/6 and 1/10, w = 11/30; 2 → 4 positions at 0, ¼, ¾, 1.
    Answer a = answer({eq19, 1, {1, {2}}, {1, {4}}, {1, 3}, {1, 2}, {}, {}, {}, {}}, set);
    CHECK(a.finite && a.empty == 0);
    CHECK_NEAR(a.raw[0], 11.0 / 30, 1e-7);
    CHECK_NEAR(a.raw[1], 33.0 / 30, 1e-7);
    const double expected[] = {0, 0.25, 0.75, 1};
    for (int i = 0; i < 4; i++) CHECK_NEAR(a.map[i], expected[i], 1e-7);

    // A denominator of zero: ΣA = −2, g = 1 gives α = 0; g = ½ gives α = 1, w = ½.
    a = answer({eq19, 1, {1, {2}}, {1, {2}}, {-3, 1}, {1, 0.5}, {}, {}, {}, {}}, set);
    CHECK(a.finite && a.raw[0] == 0 && a.raw[1] == 0.5f);

    // The same where two positions share a division, six denominators of zero, ten α of 1, w = 5; and where four do.
    Case pairs{eq19, 1, {1, {16}}, {1, {16}}, {}, {}, {}, {}, {}, {}};
    for (int i = 0; i < 16; i++) {
      pairs.activations.push_back(i % 2 ? 0.25f : -0.5f);
      pairs.gradients.push_back(i % 3 ? 0.5f : 1.0f);
    }
    a = answer(pairs, set);
    CHECK(a.finite && a.empty == 0);
    for (int i = 0; i < 16; i++) CHECK(a.raw[i] == (i % 2 ? 5 * 0.25f : 0));
    Case fours = pairs;
    fours.layer = fours.size = {1, {48}};
    for (int i = 16; i < 48; i++) {
      fours.activations.push_back(0);
      fours.gradients.push_back(i % 3 ? 0.5f : 1.0f);
    }
    a = answer(fours, set);
    CHECK(a.finite && a.empty == 0);
    for (int i = 0; i < 48; i++) CHECK(a.raw[i] == (i % 2 && i < 16 ? 16 * 0.25f : 0));

    // And in the planes that are weighed together, and in the one that is left over.
    Case five = pairs;
    five.channels = 5;
    for (int k = 1; k < 5; k++) {
      five.activations.insert(five.activations.end(), pairs.activations.begin(), pairs.activations.end());
      five.gradients.insert(five.gradients.end(), pairs.gradients.begin(), pairs.gradients.end());
    }
    a = answer(five, set);
    CHECK(a.finite && a.empty == 0);
    for (int i = 0; i < 16; i++) CHECK(a.raw[i] == (i % 2 ? 25 * 0.25f : 0));

    // A constant map is 1, an empty one 0.
    a = answer({eq19, 1, {2, {1, 1}}, {2, {2, 3}}, {2}, {1}, {}, {}, {}, {}}, set);
    CHECK(a.raw[0] == 0.5f);
    for (const float v : a.map) CHECK(v == 1);
    a = answer({eq19, 1, {2, {1, 1}}, {2, {2, 3}}, {2}, {0}, {}, {}, {}, {}}, set);
    CHECK(a.empty == 1 && a.raw[0] == 0);
    for (const float v : a.map) CHECK(v == 0);

    // Beyond float32 the raw map saturates, and the map is as ever.
    a = answer({{Method::cam, false, false, true}, 1, {1, {2}}, {1, {2}}, {1e30f, 2e30f}, {}, {1e30f}, {}, {}, {}}, set);
    CHECK(a.raw[0] == std::numeric_limits<float>::max() && a.map[0] == 0 && a.map[1] == 1);
  }
}

std::vector<float> numbers(Random& random, std::size_t count, double shift) {
  std::vector<float> result(count);
  for (float& x : result) x = static_cast<float>(random.next() - shift);
  return result;
}

Case random_case(Random& random) {
  Case c;
  c.settings = {static_cast<Method>(random.whole(0, 5)), random.next() < 0.5, random.next() < 0.5, random.next() < 0.5};
  c.layer.rank = c.size.rank = static_cast<int>(random.whole(1, 3));
  const std::size_t most = c.layer.rank == 1 ? 70 : c.layer.rank == 2 ? 12 : 5;
  for (int i = 0; i < c.layer.rank; i++) {
    c.layer.dims[i] = random.whole(1, most);
    c.size.dims[i] = random.whole(1, 2 * most);
  }
  c.channels = random.whole(1, 11);
  const std::size_t elements = c.channels * c.layer.size();
  c.activations = numbers(random, elements, 0.3);
  if (c.settings.method == Method::cam)
    c.weights = numbers(random, c.channels, 0.5);
  else
    c.gradients = numbers(random, elements, 0.5);
  if (c.settings.method == Method::grad_cam_plus_plus && c.settings.softmax) {
    c.mean = numbers(random, elements, 0.5);
    c.variance = numbers(random, elements, 0);
    c.third = numbers(random, elements, 0.5);
  }
  return c;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void same_bits_everywhere() {
  Random random(1);
  int shown = 0;
  for (int i = 0; i < 3000; i++) {
    const Case c = random_case(random);
    const Answer expected = answer(c, InstructionSet::scalar);
    CHECK(expected.finite);
    shown += expected.empty == 0;
    for (const float v : expected.raw) CHECK(v >= 0 && std::isfinite(v));
    for (const float v : expected.map) CHECK(v >= 0 && v <= 1);
    for (const InstructionSet set : sets()) {
      const Answer a = answer(c, set);
      CHECK(a.finite && a.empty == expected.empty && same_bits(a.raw, expected.raw) && same_bits(a.map, expected.map));
    }
  }
  CHECK(shown > 1500);
}

void not_finite() {
  Random random(2);
  for (int i = 0; i < 2000; i++) {
    Case c = random_case(random);
    std::vector<std::vector<float>*> arrays;
    for (auto* v : {&c.activations, &c.gradients, &c.weights, &c.mean, &c.variance, &c.third})
      if (!v->empty()) arrays.push_back(v);
    std::vector<float>& array = *arrays[random.whole(0, arrays.size() - 1)];
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                         -std::numeric_limits<float>::infinity()};
    array[random.whole(0, array.size() - 1)] = bad[random.whole(0, 2)];
    for (const InstructionSet set : sets()) CHECK(!answer(c, set).finite);
  }
}

/** The range of the upsampled map is found without computing all of it: 0 and 1 must both be reached, exactly. */
void range_is_reached() {
  Random random(3);
  for (int i = 0; i < 1000; i++) {
    Case c = random_case(random);
    c.settings = {Method::cam, false, false, true};
    c.weights = std::vector<float>(c.channels, 1.0f);
    for (float& x : c.activations) x = std::fabs(x);
    const Answer a = answer(c, sets().back());
    float least = 2;
    float most = -1;
    for (const float v : a.map) {
      least = std::min(least, v);
      most = std::max(most, v);
    }
    CHECK(most == 1 && (least == 0 || least == 1));
  }
}

void taps() {
  // 3 → 6: −¼ (clamped), ¼, ¾, 1¼, 1¾, 2¼ (clamped).
  const std::vector<cam::Tap> t = cam::linear_taps(3, 6);
  const std::size_t low[] = {0, 0, 0, 1, 1, 2};
  const std::size_t high[] = {1, 1, 1, 2, 2, 2};
  const double share[] = {0, 0.25, 0.75, 0.25, 0.75, 0.25};
  for (int i = 0; i < 6; i++) CHECK(t[i].low == low[i] && t[i].high == high[i] && t[i].t == share[i]);
}

}  // namespace

int main() {
  by_hand();
  same_bits_everywhere();
  not_finite();
  range_is_reached();
  taps();
  return report();
}
