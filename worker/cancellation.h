// How something that blocks is told to give up.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace beamline::worker {

// Set once, by anyone; seen by whoever blocks on its behalf. Thread-safe.
class Cancellation {
 public:
  // Later calls do nothing.
  void Cancel();
  bool cancelled() const;
  // Waits until cancelled, at most `wait_ms` milliseconds. True if cancelled.
  bool WaitFor(int64_t wait_ms) const;

  // Calls `action` once on Cancel (at once if that was before), as long as this object lives. Its
  // destructor waits for an action that runs. One at a time per Cancellation.
  class Hook {
   public:
    Hook(Cancellation& cancellation, std::function<void()> action);
    ~Hook();
    Hook(const Hook&) = delete;
    Hook& operator=(const Hook&) = delete;

   private:
    Cancellation& cancellation_;
  };

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // Guarded by mutex_.
  bool cancelled_ = false;
  std::function<void()> action_;
};

}  // namespace beamline::worker
