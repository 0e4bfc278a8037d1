// Decides which task runs where, as a pure state machine: events and the time in, actions out.
//
// It reads no clock, file, random number or address, and uses no floating point: the same events at
// the same times give the same actions on any machine. What it does today:
//  - Order: priority, then the project that holds least (ShareUnits), then time queued, then id.
//  - Placement: one worker per task, the fullest one that still fits (best fit); ties by id.
//  - Work conserving: after every event no pending task that is due fits anywhere. A task that fits
//    may pass one that does not.
//  - Leases: a worker silent for longer than `lease_ms` loses its attempts, which queue again.
//  - Retries: back-off 1 s, doubling, at most 60 s; bounds on failures and, apart, on losses.
//  - One live attempt per task; what a stale attempt reports changes nothing.
// Fair share, gangs and preemption widen queue.h and placement.h; events and actions have room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scheduler/actions.h"
#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/reasons.h"
#include "scheduler/resources.h"

namespace beamline::scheduler {

struct Options {
  // A worker silent for longer than this loses its attempts. Unit: milliseconds. Raise it only if
  // workers pause for longer than ten seconds (GPU driver resets do).
  int64_t lease_ms = 10'000;
  // The wait before the first retry; doubles with each further one. Unit: milliseconds.
  int64_t first_back_off_ms = 1'000;
  int64_t max_back_off_ms = 60'000;
  // Retryable failures that end a task which does not say itself. At least 1.
  int32_t max_attempts = 5;
  // Lost workers and releases that end a task: a bound on tasks that kill their workers. Raise it
  // where workers come and go many times within one task (spot machines).
  int32_t max_losses = 20;
};

enum class TaskState { kPending, kAssigned, kRunning, kStopping };

// One waiting task, for the status of the cluster.
struct QueueEntry {
  TaskId task;
  RunId run;
  ProjectId project;
  int32_t priority = 0;
  int64_t queued_at_ms = 0;
  PendingReason reason;
};

// One live attempt.
struct AttemptEntry {
  TaskId task;
  int32_t attempt = 0;
  TaskState state = TaskState::kAssigned;
  Placement placement;
};

// One worker and what it holds.
struct WorkerEntry {
  WorkerId worker;
  Capacity capacity;
  std::vector<std::string> labels;
  // Within its lease. One that is not keeps its entry until WorkerGone.
  bool connected = false;
  bool draining = false;
  // Unit: milliseconds of the caller's clock.
  int64_t lease_until_ms = 0;
  int64_t free_cpu_millis = 0;
  int64_t free_memory_bytes = 0;
  // Ordered by task.
  std::vector<AttemptEntry> attempts;
};

// Not thread-safe: it belongs to one thread. Never fails: an event that makes no sense is answered
// with Ignored and changes nothing.
class Scheduler {
 public:
  explicit Scheduler(const Options& options = {});
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Takes in one event and everything that has come due by `now_ms`; returns what follows, in the
  // order in which it is to be done. `now_ms`: milliseconds of the caller's clock; a time before
  // the last one counts as the last one. Leases are checked after the event, so that a sign of
  // life that arrives together with a late Tick still counts.
  std::vector<Action> Step(const Event& event, int64_t now_ms);

  // Why `task` waits; nullopt if it is not pending. Looks at every worker: for people, not loops.
  std::optional<PendingReason> Why(const TaskId& task) const;

  // nullopt: unknown or ended.
  std::optional<TaskState> StateOf(const TaskId& task) const;

  // The live attempt of `task`; nullopt if it has none.
  std::optional<AttemptEntry> LiveAttempt(const TaskId& task) const;

  // The first `limit` pending tasks, in the order in which they would start if all fitted and the
  // projects' shares stayed as they are; those that wait for their not_before come last.
  std::vector<QueueEntry> Queue(size_t limit) const;

  // All workers, ordered by id.
  std::vector<WorkerEntry> Workers() const;

  size_t PendingCount() const;
  // Tasks with a live attempt.
  size_t LiveCount() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace beamline::scheduler
