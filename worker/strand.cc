#include "worker/strand.h"

#include <algorithm>
#include <chrono>

namespace beamline::worker {

ThreadStrand::ThreadStrand(const Clock& clock) : clock_(clock), thread_([this] { Run(); }) {}

ThreadStrand::~ThreadStrand() { Stop(); }

void ThreadStrand::After(int64_t delay_ms, Task task) {
  const int64_t due = clock_.MonotonicMillis() + std::max<int64_t>(delay_ms, 0);
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  tasks_.emplace(std::pair(due, ++posted_), std::move(task));
  changed_.notify_one();
}

void ThreadStrand::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  std::lock_guard lock(mutex_);
  tasks_.clear();
}

void ThreadStrand::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (tasks_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const int64_t wait_ms = tasks_.begin()->first.first - clock_.MonotonicMillis();
    if (wait_ms > 0) {
      changed_.wait_for(lock, std::chrono::milliseconds(wait_ms));
      continue;
    }
    Task task = std::move(tasks_.extract(tasks_.begin()).mapped());
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

}  // namespace beamline::worker
