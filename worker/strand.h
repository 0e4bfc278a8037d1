// Where the worker's loop lives: a queue of small tasks run one after another, with timers. The
// loop needs no lock, and tests and the simulation put a virtual clock in the place of the thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"

namespace beamline::worker {

// Runs tasks in the order of their time, then of their posting, never two at once.
// All methods are thread-safe and never block on a task.
class Strand {
 public:
  using Task = absl::AnyInvocable<void()>;

  virtual ~Strand() = default;
  // Runs `task` soon, on the strand.
  virtual void Post(Task task) { After(0, std::move(task)); }
  // Runs `task` on the strand when `delay_ms` (milliseconds) have gone by.
  virtual void After(int64_t delay_ms, Task task) = 0;
  // Unit: milliseconds since an arbitrary start; never goes back.
  virtual int64_t NowMillis() const = 0;
};

// A strand with a thread of its own. Thread-safe.
class ThreadStrand : public Strand {
 public:
  // Does not take ownership of `clock`.
  explicit ThreadStrand(const Clock& clock);
  // Stops.
  ~ThreadStrand() override;

  // Dropped after Stop.
  void After(int64_t delay_ms, Task task) override;
  int64_t NowMillis() const override { return clock_.MonotonicMillis(); }
  // Waits for the task that runs now and drops all others; not to be called on the strand.
  void Stop();

 private:
  void Run();

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_. The key: when (milliseconds), then the order of posting.
  std::map<std::pair<int64_t, uint64_t>, Task> tasks_;
  uint64_t posted_ = 0;
  bool stopped_ = false;
  // Last: starts when everything else is made.
  std::thread thread_;
};

}  // namespace beamline::worker
