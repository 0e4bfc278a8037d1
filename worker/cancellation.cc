#include "worker/cancellation.h"

#include <chrono>
#include <utility>

namespace beamline::worker {

void Cancellation::Cancel() {
  std::lock_guard lock(mutex_);
  if (cancelled_) return;
  cancelled_ = true;
  if (action_) action_();
  changed_.notify_all();
}

bool Cancellation::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

bool Cancellation::WaitFor(int64_t wait_ms) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] { return cancelled_; });
}

Cancellation::Hook::Hook(Cancellation& cancellation, std::function<void()> action)
    : cancellation_(cancellation) {
  std::lock_guard lock(cancellation_.mutex_);
  if (cancellation_.cancelled_) {
    action();
  } else {
    cancellation_.action_ = std::move(action);
  }
}

Cancellation::Hook::~Hook() {
  std::lock_guard lock(cancellation_.mutex_);
  cancellation_.action_ = nullptr;
}

}  // namespace beamline::worker
