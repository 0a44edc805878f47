#include "picture.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "resize.h"

namespace {

std::vector<std::uint8_t> pillow_of(const std::vector<std::uint8_t>& source, std::size_t width, std::size_t height,
                                    std::size_t channels, const cam::ResizePlan& plan, cam::Filter filter) {
  std::vector<std::uint8_t> out(plan.window_width * plan.window_height * channels);
  cam::resize_pillow(source.data(), width, height, channels, plan, filter, out.data());
  return out;
}

void resizing() {
  // Nothing to do: both kinds give the window back.
  std::vector<std::uint8_t> source(5 * 4 * 3);
  for (std::size_t i = 0; i < source.size(); i++) source[i] = static_cast<std::uint8_t>(i * 7);
  const cam::ResizePlan same{5, 4, 1, 2, 3, 2};
  const std::vector<std::uint8_t> cut = pillow_of(source, 5, 4, 3, same, cam::Filter::bicubic);
  std::vector<float> exact(3 * 2 * 3);
  cam::resize_torch_bilinear(source.data(), 5, 4, 3, same, exact.data());
  for (std::size_t y = 0; y < 2; y++)
    for (std::size_t i = 0; i < 9; i++) {
      CHECK(cut[y * 9 + i] == source[(y + 2) * 15 + 3 + i]);
      CHECK(exact[y * 9 + i] == source[(y + 2) * 15 + 3 + i]);
    }

  // 2 → 4: 0, ¼, ¾, 1 of the way from 100 to 200; Pillow rounds.
  const std::vector<std::uint8_t> two{100, 200};
  const cam::ResizePlan wider{4, 1, 0, 0, 4, 1};
  std::vector<float> torch(4);
  cam::resize_torch_bilinear(two.data(), 2, 1, 1, wider, torch.data());
  const std::vector<std::uint8_t> pillow = pillow_of(two, 2, 1, 1, wider, cam::Filter::bilinear);
  const int between[] = {100, 125, 175, 200};
  for (int i = 0; i < 4; i++) {
    CHECK_NEAR(torch[i], between[i], 1e-4);
    CHECK(pillow[i] == between[i]);
  }

  // Every part of random pictures, enlarged and reduced; a constant picture stays constant.
  Random random(4);
  for (int i = 0; i < 300; i++) {
    const std::size_t width = random.whole(1, 40), height = random.whole(1, 40), channels = random.whole(1, 4);
    const cam::ResizePlan whole{random.whole(1, 50), random.whole(1, 50), 0, 0, 0, 0};
    cam::ResizePlan plan = whole;
    plan.window_x = random.whole(0, plan.width - 1);
    plan.window_y = random.whole(0, plan.height - 1);
    plan.window_width = random.whole(1, plan.width - plan.window_x);
    plan.window_height = random.whole(1, plan.height - plan.window_y);
    const std::vector<std::uint8_t> grey(width * height * channels, 77);
    std::vector<float> out(plan.window_width * plan.window_height * channels);
    cam::resize_torch_bilinear(grey.data(), width, height, channels, plan, out.data());
    for (const float v : out) CHECK(v == 77);
    for (const cam::Filter filter : {cam::Filter::bilinear, cam::Filter::bicubic})
      for (const std::uint8_t v : pillow_of(grey, width, height, channels, plan, filter))
        CHECK(v == 77);
  }
}

void normalizing() {
  const std::vector<std::uint8_t> source{0, 255, 51, 102};  // two pixels of two channels
  const cam::ChannelSteps steps{1, 255, 0.5f, 0.25f};
  std::vector<float> out(2);
  cam::normalize_channel(source.data(), 2, 2, steps, out.data(), 1);
  CHECK(out[0] == 2);
  CHECK_NEAR(out[1], (0.4 - 0.5) / 0.25, 1e-6);
  const std::vector<float> floats(source.begin(), source.end());
  std::vector<float> same(3);
  cam::normalize_channel(floats.data(), 2, 2, steps, same.data(), 2);
  CHECK(same[0] == out[0] && same[2] == out[1] && same[1] == 0);
}

void stretching() {
  const std::vector<float> map{0, 1};
  std::vector<float> out(4);
  cam::stretch_map(map.data(), 1, 2, {0, 0, 4, 1}, {0, 0, 4, 1}, out.data());
  const double expected[] = {0, 0.25, 0.75, 1};
  for (int i = 0; i < 4; i++) CHECK_NEAR(out[i], expected[i], 1e-7);
}

void blending() {
  std::vector<std::uint8_t> table(768, 0);
  for (int i = 0; i < 3; i++) table[765 + i] = 200;  // the hottest colour; all others are black
  const std::vector<std::uint8_t> pixels(4 * 2 * 3, 100);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> map{1, 0, nan, 7};
  std::vector<std::uint8_t> out(pixels.size());
  cam::blend(pixels.data(), 4, 2, {1, 0, 2, 2}, map.data(), table.data(), 0.5, 0.6, out.data());
  const int expected[] = {60, 150, 50, 60, 60, 50, 150, 60};
  for (int p = 0; p < 8; p++)
    for (int c = 0; c < 3; c++) CHECK(out[3 * p + c] == expected[p]);
  // In place, with nothing left of the picture, and an empty box.
  cam::blend(out.data(), 4, 2, {0, 0, 0, 0}, nullptr, table.data(), 1, 1, out.data());
  for (int p = 0; p < 8; p++) CHECK(out[3 * p] == expected[p]);
}

void runs() {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> map{1, 0.5f, 0, nan, 0.5f, 0.25f, 0.75f, 1};  // two rows: no run crosses their border
  const std::vector<cam::Run> found = cam::salient_runs(map.data(), 2, 4, 0.5);
  CHECK(found.size() == 3);
  CHECK(found[0].start == 0 && found[0].end == 2 && found[0].mass == 1.5);
  CHECK(found[1].start == 4 && found[1].end == 5 && found[1].mass == 0.5);
  CHECK(found[2].start == 6 && found[2].end == 8 && found[2].mass == 1.75);
  CHECK(cam::salient_runs(map.data() + 2, 1, 2, 0).empty());
}

}  // namespace

int main() {
  resizing();
  normalizing();
  stretching();
  blending();
  runs();
  return report();
}
