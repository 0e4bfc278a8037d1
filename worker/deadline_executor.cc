#include "worker/deadline_executor.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/outcome.h"

namespace beamline::worker {
namespace {

// Ten years.
constexpr int64_t kLongestSeconds = int64_t{3650} * 24 * 3600;

// Turns the end of an attempt that was stopped for its time into a failure.
class Listener : public ExecutionListener {
  enum State { kRunning, kStopped, kExpired };

 public:
  Listener(std::shared_ptr<ExecutionListener> inner, int64_t timeout_seconds)
      : inner_(std::move(inner)), timeout_seconds_(timeout_seconds) {}

  // The time is over; false if the attempt was stopped for another reason before.
  bool Expire() {
    int running = kRunning;
    return state_.compare_exchange_strong(running, kExpired);
  }
  void Disarm() {
    int running = kRunning;
    state_.compare_exchange_strong(running, kStopped);
  }
  void OnEvent(v1::Event event) override { inner_->OnEvent(std::move(event)); }
  void OnEnd(v1::AttemptResult result) override {
    if (state_ == kExpired && result.outcome() == v1::AttemptResult::OUTCOME_CANCELLED) {
      result = Failed(v1::FAILURE_KIND_TIMEOUT,
                      absl::StrCat("the step ran for longer than its limit of ", timeout_seconds_,
                                   " s: raise timeout_seconds"));
    }
    inner_->OnEnd(std::move(result));
  }

 private:
  const std::shared_ptr<ExecutionListener> inner_;
  const int64_t timeout_seconds_;
  std::atomic<int> state_ = kRunning;
};

// Lets the timer, which outlives the attempt, see whether there is still something to stop.
class Limited : public Execution {
 public:
  Limited(std::shared_ptr<Execution> inner, std::shared_ptr<Listener> listener)
      : inner_(std::move(inner)), listener_(std::move(listener)) {}
  void Stop(StopReason reason) override {
    listener_->Disarm();
    inner_->Stop(reason);
  }
  void SetPaused(bool paused) override { inner_->SetPaused(paused); }

 private:
  const std::shared_ptr<Execution> inner_;
  const std::shared_ptr<Listener> listener_;
};

}  // namespace

std::unique_ptr<Execution> DeadlineExecutor::Start(std::shared_ptr<const v1::Attempt> attempt,
                                                   std::shared_ptr<ExecutionListener> listener) {
  const int64_t timeout_seconds = attempt->timeout_seconds();
  if (timeout_seconds <= 0) return inner_.Start(std::move(attempt), std::move(listener));
  const auto limited = std::make_shared<Listener>(std::move(listener), timeout_seconds);
  std::shared_ptr<Execution> execution = inner_.Start(std::move(attempt), limited);
  strand_.After(std::min(timeout_seconds, kLongestSeconds) * 1000,
                [weak = std::weak_ptr(execution), limited] {
                  const std::shared_ptr<Execution> running = weak.lock();
                  if (running == nullptr || !limited->Expire()) return;
                  running->Stop(Execution::StopReason::kCancel);
                });
  return std::make_unique<Limited>(std::move(execution), limited);
}

}  // namespace beamline::worker
