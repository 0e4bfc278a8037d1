// What the scheduler wants done. The caller makes an action durable before anybody sees it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/reasons.h"
#include "scheduler/resources.h"

namespace beamline::scheduler {

// Start attempt `attempt` (the task's epoch, from 1) of `task`.
struct Assign {
  TaskId task;
  int32_t attempt = 0;
  // One per worker; more than one only for gangs (Options::gangs).
  std::vector<Placement> placements;
  // The attempt is lost unless the worker gives a sign of life until then; each sign moves it.
  // Unit: milliseconds of the caller's clock.
  int64_t lease_until_ms = 0;
};

// The worker must stop the attempt. After kCancelled the attempt still holds its devices until it
// is reported finished; after the other codes it is stale already, and the worker is to drop it
// should it ever be heard of again.
struct StopAttempt {
  TaskId task;
  int32_t attempt = 0;
  WorkerId worker;
  StopCode code = StopCode::kCancelled;
};

// The attempt is to write a checkpoint, stop, and report Outcome::kPreempted (or how else it ended
// meanwhile). It keeps its devices until then. Only with Options::preemption.
struct Preempt {
  TaskId task;
  int32_t attempt = 0;
  // Where it runs, one per placement.
  std::vector<WorkerId> workers;
  PreemptCode code = PreemptCode::kFairShare;
  // Who gets what becomes free.
  TaskId beneficiary;
  // An attempt that has not ended by then is stopped without a checkpoint (StopAttempt with
  // kGraceOver). Unit: milliseconds of the caller's clock.
  int64_t deadline_ms = 0;
};

// Attempt `attempt` is over and the task waits again. Keep the counts for the next TaskQueued.
struct Requeue {
  TaskId task;
  int32_t attempt = 0;
  RequeueCode code = RequeueCode::kFailure;
  int32_t failures = 0;
  int32_t losses = 0;
  // Unit: milliseconds of the caller's clock.
  int64_t not_before_ms = 0;
  // Service that counts, for TaskQueued::attained.
  int64_t attained = 0;
};

// The task has its one terminal state, and the scheduler has forgotten it.
struct EndTask {
  TaskId task;
  // Its last attempt; 0: it never had one.
  int32_t attempt = 0;
  EndState state = EndState::kSucceeded;
  EndCode code = EndCode::kSucceeded;
  // Service that counts, should the task be queued once more. For TaskQueued::attained.
  int64_t attained = 0;
};

// The task is due but cannot run on the cluster as it is. It stays pending, and runs when that
// changes. Given once each time the task becomes due; Scheduler::Why is current at any time.
struct Park {
  TaskId task;
  PendingReason reason;
};

// Send a Tick at `at_ms`. Replaces the timer before it.
struct SetTimer {
  int64_t at_ms = 0;
};

// The event changed nothing; for the log. `text` says more where `code` does not say all.
struct Ignored {
  IgnoredCode code = IgnoredCode::kUnknownTask;
  TaskId task;
  int32_t attempt = 0;
  WorkerId worker;
  std::string text;
};

using Action =
    std::variant<Assign, StopAttempt, Preempt, Requeue, EndTask, Park, SetTimer, Ignored>;

// One line, complete: two actions are the same if and only if their lines are.
std::string ToString(const Action& action);

}  // namespace beamline::scheduler
