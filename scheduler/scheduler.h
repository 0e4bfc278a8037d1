// Decides which task runs where, as a pure state machine: events and the time in, actions out.
//
// It reads no clock, file, random number or address, and uses no floating point: the same events at
// the same times give the same actions on any machine. See docs/decisions/0008 for the reasons.
//  - Order: projects below their guarantee, then short tasks (express), then the project that holds
//    least for its weight; inside a project priority, then the least service attained, then time.
//  - Placement: gangs all or nothing; best fit on one worker, or whole workers and a remainder.
//  - Work conserving: after every event no pending task that is due fits anywhere, except into what
//    is reserved for another. A task that fits may pass one that does not.
//  - Preemption (off unless asked for): in rounds, for a named beneficiary, with a time of grace.
//  - Leases: a worker silent for longer than `lease_ms` loses its attempts, which queue again.
//  - Retries: back-off 1 s, doubling, at most 60 s; bounds on failures and, apart, on losses.
//  - One live attempt per task; what a stale attempt reports changes nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/actions.h"
#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/reasons.h"
#include "scheduler/resources.h"

namespace beamline::scheduler {

enum class Policy {
  kFairShare,
  // The oldest task first; nothing passes one that does not fit. For comparison: it starves most.
  kStrictFifo,
};

// Service after which a task leaves level 0, 1, 2 and 3 for the next one.
inline constexpr int32_t kLevels = 5;

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
  Policy policy = Policy::kFairShare;
  // Start tasks that ask for several workers at once. Off: they are parked with kGangsUnsupported.
  // Turn it on only where the caller carries out an Assign of several placements.
  bool gangs = false;
  // Give Preempt actions. Turn it on only where the caller carries them out.
  bool preemption = false;
  // How often preemption is considered while something waits. Unit: milliseconds. 30 s to 5 min
  // are nearly alike; shorter ones preempt more, for they leave less to what becomes free by
  // itself.
  int64_t round_ms = 180'000;
  // How long a preempted attempt may take to write its checkpoint. Unit: milliseconds. Raise it
  // where checkpoints are large.
  int64_t grace_ms = 60'000;
  // No attempt is preempted sooner after its start. Unit: milliseconds. Raise it where starting is
  // expensive: it bounds the share of time that preemption can cost.
  int64_t min_run_ms = 780'000;
  // No attempt makes room sooner for a task of its own project that has had less service. Unit:
  // milliseconds; at least min_run_ms counts.
  int64_t level_quantum_ms = 4'680'000;
  // Attained service at which levels end. Unit: hours of one device (of one core for tasks without
  // devices). Ascending.
  std::array<int64_t, kLevels - 1> level_hours = {1, 8, 64, 512};
  // Levels below this are express: they go first while the project's bucket is not empty. 0 to 2.
  int32_t express_levels = 2;
  // The bucket's inflow: this share of the project's weighted share. Unit: percent.
  int64_t express_refill_percent = 200;
  // The bucket holds the inflow of this long. Unit: milliseconds.
  int64_t express_burst_ms = 24 * 3'600'000;
  // After waiting this long a task goes first in its project, and keeps that place for one quantum
  // once it runs. Only with `preemption`; without it large tasks may starve.
  int64_t starvation_ms = 24 * 3'600'000;
  int64_t guard_quantum_ms = 2 * 3'600'000;
  // Attempts preempted in one round.
  int32_t max_preempted = 1000;
};

enum class TaskState {
  kPending,
  kReserved,  // has a place that others are leaving
  kAssigned,
  kRunning,
  kStopping,
  kPreempting,  // was asked to stop at a checkpoint
};

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
  // The first one; see Assign for all.
  Placement placement;
};

// What a project holds and is owed, as shares of the cluster's dominant resource. Unit: parts of
// 10^9.
struct ShareEntry {
  ProjectId project;
  int64_t weight_millis = 0;
  int64_t held = 0;
  // What it holds and what its waiting tasks ask for, together; may be above 10^9.
  int64_t demand = 0;
  // Its guarantee, express tasks and weighted share of the rest; at most `demand`.
  int64_t entitled = 0;
  // Short tasks go first while this is above 0. Unit: parts of 10^9 times milliseconds.
  int64_t express_bucket = 0;
  size_t waiting = 0;
  // Tasks that hold something, and what; those that were asked to leave are not counted.
  int64_t running = 0;
  int64_t cpu_millis = 0;
  int64_t memory_bytes = 0;
  int64_t devices = 0;
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

  // How many waiting tasks of its project would go before `task`; nullopt if it does not wait in
  // the queue. Looks at the whole queue: for people, not loops.
  std::optional<int64_t> Ahead(const TaskId& task) const;

  // When `task`, which waits for one worker, would fit on one if nothing else started, and each of
  // `ends_ms` ended at its time and all others never; nullopt: never. Not before the last Step.
  // Unit: milliseconds of the caller's clock. Looks at every worker.
  std::optional<int64_t> EarliestFit(const TaskId& task,
                                     const std::map<TaskId, int64_t>& ends_ms) const;

  // nullopt: unknown or ended.
  std::optional<TaskState> StateOf(const TaskId& task) const;

  // The live attempt of `task`; nullopt if it has none.
  std::optional<AttemptEntry> LiveAttempt(const TaskId& task) const;

  // The first `limit` pending tasks, in the order in which they would start if all fitted and the
  // projects' shares stayed as they are; those that wait for their not_before come last.
  std::vector<QueueEntry> Queue(size_t limit) const;

  // All workers, ordered by id.
  std::vector<WorkerEntry> Workers() const;

  // All projects that have or lately had tasks, ordered by id.
  std::vector<ShareEntry> Shares() const;

  // The whole state as bytes, the same bytes for the same state: a hash of them is the state's. The
  // service does not use it yet: it tells the scheduler what the store knows.
  std::string Snapshot() const;

  // The scheduler that gave the snapshot, from then on: the same events give the same actions as
  // they would have there. `options` must be the same. nullptr: these are not the bytes of a
  // snapshot, or those of another version.
  static std::unique_ptr<Scheduler> Restore(const Options& options, std::string_view snapshot);

  size_t PendingCount() const;
  // Tasks with a live attempt.
  size_t LiveCount() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace beamline::scheduler
