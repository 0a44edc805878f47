#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cam {

/**
 * A fixed number of threads that share the tasks of a job; who calls `run` is one of them, so that a pool of one has no
 * threads of its own. Several jobs may run at once.
 */
class Pool {
 public:
  explicit Pool(std::size_t threads);
  /** Waits for the tasks that have begun. */
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::size_t threads() const { return threads_.size() + 1; }

  /** Calls task(0) … task(count − 1), each once, and returns when all have returned. Tasks must not throw. */
  void run(std::size_t count, const std::function<void(std::size_t)>& task);

 private:
  struct Job {
    const std::function<void(std::size_t)>* task;
    std::size_t count;
    std::atomic<std::size_t> next;
    std::size_t done = 0;  // guarded by mutex_
  };

  void work(Job& job);
  void serve();

  std::mutex mutex_;
  std::condition_variable begun_;
  std::condition_variable ended_;
  std::deque<std::shared_ptr<Job>> jobs_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace cam
