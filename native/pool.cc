#include "pool.h"

namespace cam {

Pool::Pool(std::size_t threads) {
  for (std::size_t i = 1; i < threads; i++) threads_.emplace_back([this] { serve(); });
}

Pool::~Pool() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
  }
  begun_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::run(std::size_t count, const std::function<void(std::size_t)>& task) {
  if (threads_.empty() || count == 1) {
    for (std::size_t i = 0; i < count; i++) task(i);
    return;
  }
  const auto job = std::make_shared<Job>();
  job->task = &task;
  job->count = count;
  job->next = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    jobs_.push_back(job);
  }
  begun_.notify_all();
  work(*job);
  std::unique_lock<std::mutex> lock(mutex_);
  ended_.wait(lock, [&] { return job->done == job->count; });
}

/** Takes tasks of the job until none is left to begin. */
void Pool::work(Job& job) {
  std::size_t done = 0;
  for (std::size_t i; (i = job.next.fetch_add(1)) < job.count; done++) (*job.task)(i);
  if (done == 0) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  job.done += done;
  if (job.done == job.count) ended_.notify_all();
}

void Pool::serve() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    begun_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    if (closing_) return;
    const std::shared_ptr<Job> job = jobs_.front();
    if (job->next >= job->count) {
      // All of its tasks have begun: nothing here for anyone.
      if (!jobs_.empty() && jobs_.front() == job) jobs_.pop_front();
      continue;
    }
    lock.unlock();
    work(*job);
    lock.lock();
  }
}

}  // namespace cam
