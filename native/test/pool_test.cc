#include "pool.h"

#include <atomic>
#include <thread>
#include <vector>

#include "check.h"

int main() {
  for (const std::size_t threads : {1, 2, 3, 8}) {
    cam::Pool pool(threads);
    CHECK(pool.threads() == threads);
    for (const std::size_t count : {0, 1, 2, 100}) {
      std::vector<std::atomic<int>> calls(count);
      pool.run(count, [&](std::size_t i) { calls[i]++; });
      for (const auto& c : calls) CHECK(c == 1);
    }
  }

  // Several jobs at once, each of whose tasks run once.
  cam::Pool pool(3);
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; caller++)
    callers.emplace_back([&] {
      for (int job = 0; job < 200; job++) pool.run(7, [&](std::size_t) { total++; });
    });
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4 * 200 * 7);

  // A pool that is closed at once, or without having worked.
  for (int i = 0; i < 50; i++) cam::Pool idle(4);
  return report();
}
