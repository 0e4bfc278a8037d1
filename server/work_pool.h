// A few threads for what must not hold up a caller or the coordinator.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace beamline::server {

// Thread-safe.
class WorkPool {
 public:
  using Work = absl::AnyInvocable<void()>;

  // `max_waiting`: work beyond this is refused. Without threads nothing happens but in RunOne and
  // Stop.
  WorkPool(int threads, size_t max_waiting);
  // Stops.
  ~WorkPool();

  // Runs `work` soon on one of the threads. False if too much waits or the pool has stopped; the
  // work is then dropped unrun, and the caller has to answer for it.
  [[nodiscard]] bool Run(Work work);

  // Does the oldest work that waits, here. False if none does.
  bool RunOne();

  // Finishes what was accepted, and ends the threads. Idempotent.
  void Stop();
  // Stop was called: what takes long should end.
  bool stopping() const { return stopping_; }

 private:
  void Loop();
  std::optional<Work> Take();

  const size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<Work> waiting_;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace beamline::server
