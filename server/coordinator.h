// The one thread that owns the scheduler and writes the store.
//
// Commands are queued from any thread. Those that arrive together are applied one after the other
// and share one commit, so the price of making things durable is paid once for all of them. Durable
// first, visible second: only after the commit are commands answered, events published and workers
// told.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "scheduler/scheduler.h"
#include "server/api/done.h"
#include "server/event_bus.h"
#include "server/transaction.h"
#include "store/store.h"

namespace beamline::server {

// What belongs to the coordinator's thread besides commands. Called on that thread only.
class CoordinatorPart {
 public:
  virtual ~CoordinatorPart() = default;
  // What `worker` ("workers/W") should do has changed, durably.
  virtual void OnWake(const std::string& worker) = 0;
  // When OnTime wants to be called. Unit: milliseconds of the monotonic clock; INT64_MAX: never.
  virtual int64_t NextDeadlineMs() const = 0;
  virtual void OnTime(int64_t now_ms) = 0;
  // The coordinator ends: answer everything that waits.
  virtual void OnStop() = 0;
};

// Thread-safe, but for Start.
class Coordinator {
 public:
  // Makes the scheduler's decisions durable, within the batch.
  using ApplyAction = absl::AnyInvocable<absl::Status(Transaction&, const scheduler::Action&)>;

  struct Options {
    scheduler::Options scheduler;
    // Commands that may wait; more are refused with ResourceExhausted. Default 10,000, which is
    // some hundred milliseconds of work.
    size_t max_waiting = 10'000;
    // Commands that share a commit at most. Default 512: bounds the wait of the first of them.
    size_t max_batch = 512;
    // Called once when the store has failed.
    absl::AnyInvocable<void(absl::Status)> on_fatal;
    // Off: nothing happens but in RunOne and Stop, on whatever thread calls them.
    bool own_thread = true;
  };

  struct Command {
    // Runs on the coordinator's thread. If it fails, nothing of it remains.
    absl::AnyInvocable<absl::Status(Transaction&)> apply;
    // Called exactly once, after the commit, with what `apply` returned, or with the reason why it
    // was not run or not committed (Unavailable, ResourceExhausted). Must not block.
    absl::AnyInvocable<void(absl::Status)> done;
  };

  // Nothing is owned. Parts may be added until Start.
  Coordinator(store::Store& store, EventBus& bus, const Clock& clock, ApplyAction apply_action,
              Options options);
  // Stops.
  ~Coordinator();

  void Add(CoordinatorPart& part) { parts_.push_back(&part); }

  // Runs `restore`, which tells the scheduler what the store knows, and starts the thread. Any
  // failure leaves the coordinator stopped.
  absl::Status Start(absl::AnyInvocable<absl::Status(Transaction&)> restore);

  void Submit(Command command);

  // As Submit, for commands with an answer.
  template <class R>
  void Call(absl::AnyInvocable<absl::StatusOr<R>(Transaction&)> apply, Done<R> done);

  // Without a thread of its own: one turn of what waits or is due. False if nothing does.
  bool RunOne();

  // Time may have passed: look at the clock. Only a FakeClock makes this necessary.
  void Poke();

  // Applies what was accepted, answers everything that waits, and ends the thread. Commands that
  // come later are refused with Unavailable. Idempotent.
  void Stop();

 private:
  void Loop();
  // The last turns, and the end.
  void Finish();
  // What shares the next commit. Holds mutex_.
  std::vector<Command> TakeBatch();
  // Applies and commits a batch, and does what follows from it.
  void Turn(std::vector<Command> batch);
  // Gives the scheduler the transaction's events and carries out what it decides.
  absl::Status Settle(Transaction& transaction);
  // In the batch. A command whose scheduler events cannot be carried out breaks the coordinator,
  // for the scheduler then knows more than the store.
  absl::Status Apply(Transaction& transaction, Command& command);
  void Fail(absl::Status status);
  int64_t NextDueMs() const;

  store::Store& store_;
  EventBus& bus_;
  const Clock& clock_;
  ApplyAction apply_action_;
  Options options_;
  std::vector<CoordinatorPart*> parts_;

  // Belong to the thread.
  scheduler::Scheduler scheduler_;
  int64_t timer_ms_;
  absl::Status failure_;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::deque<Command> waiting_;
  bool started_ = false;
  bool accepting_ = false;
  bool stopping_ = false;
  bool poked_ = false;
  std::thread thread_;
};

template <class R>
void Coordinator::Call(absl::AnyInvocable<absl::StatusOr<R>(Transaction&)> apply, Done<R> done) {
  auto answer = std::make_shared<std::optional<R>>();
  Submit({.apply = [answer,
                    apply = std::move(apply)](Transaction& transaction) mutable -> absl::Status {
            absl::StatusOr<R> result = apply(transaction);
            if (!result.ok()) return result.status();
            *answer = *std::move(result);
            return absl::OkStatus();
          },
          .done =
              [answer, done = std::move(done)](absl::Status status) mutable {
                if (status.ok()) {
                  done(**std::move(answer));
                } else {
                  done(std::move(status));
                }
              }});
}

}  // namespace beamline::server
