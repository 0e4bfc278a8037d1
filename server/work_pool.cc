#include "server/work_pool.h"

#include <utility>

namespace beamline::server {

WorkPool::WorkPool(int threads, size_t max_waiting) : max_waiting_(max_waiting) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Loop(); });
}

WorkPool::~WorkPool() { Stop(); }

bool WorkPool::Run(Work work) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || waiting_.size() >= max_waiting_) return false;
  waiting_.push_back(std::move(work));
  changed_.notify_one();
  return true;
}

void WorkPool::Stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    threads.swap(threads_);
  }
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
  while (RunOne()) {
  }
}

std::optional<WorkPool::Work> WorkPool::Take() {
  if (waiting_.empty()) return std::nullopt;
  Work work = std::move(waiting_.front());
  waiting_.pop_front();
  return work;
}

bool WorkPool::RunOne() {
  std::optional<Work> work;
  {
    const std::lock_guard lock(mutex_);
    work = Take();
  }
  if (work) (*work)();
  return work.has_value();
}

void WorkPool::Loop() {
  while (true) {
    std::optional<Work> work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      work = Take();
      if (!work) return;
    }
    (*work)();
  }
}

}  // namespace beamline::server
