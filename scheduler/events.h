// What can happen to the scheduler. The caller numbers and keeps events as it likes: the same
// events at the same times give the same actions, byte for byte.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/reasons.h"
#include "scheduler/resources.h"

namespace beamline::scheduler {

// A task waits from now on. Also sent for each pending task after a restart of the server, with the
// counts that the last Requeue gave, so that epochs stay unique and bounds hold.
struct TaskQueued {
  TaskId task;
  RunId run;
  ProjectId project;
  // Higher goes first.
  int32_t priority = 0;
  Demand demand;
  // Retryable failures that end the task. 0: Options::max_attempts.
  int32_t max_attempts = 0;
  // The highest attempt number ever assigned; the next one is this plus 1.
  int32_t last_attempt = 0;
  // Of those attempts: retryable failures, and lost workers plus releases.
  int32_t failures = 0;
  int32_t losses = 0;
  // Not assigned earlier. Unit: milliseconds of the caller's clock; 0: at once.
  int64_t not_before_ms = 0;
  // Its place among equals. Unit: milliseconds, any clock that all tasks share (such as the wall
  // clock at CreateRun: it survives a restart); 0: the time of this event.
  int64_t queued_at_ms = 0;
  // Whether it may be stopped at a checkpoint, to go on later. Means nothing without
  // Options::preemption.
  bool preemptible = true;
  // Service attained by former attempts and kept in a checkpoint. Unit: thousandths of a device (of
  // a core, for tasks without devices) times milliseconds.
  int64_t attained = 0;
  // For how long its attempts are expected to run in all, former ones included. Unit: milliseconds;
  // 0: unknown. Only orders the tasks of one project among each other.
  int64_t predicted_ms = 0;
  // What it reads: of several workers that fit it alike it gets the one that has most of it.
  std::vector<DataId> data;
};

// What a project is owed and may have at most. Projects of which nothing was said have weight 1,
// no guarantee and no cap.
struct QuotaChanged {
  ProjectId project;
  // The project or group of projects that shares with its equals on behalf of this one; empty: the
  // cluster. Shares are weighed among the children of one parent. At most 8 levels; a parent that
  // would be its own ancestor is invalid.
  ProjectId parent;
  // Thousandths: 2000 is owed twice what 1000 is. From 1 to 10^9.
  int64_t weight_millis = 1000;
  // Comes before everybody's weighted share. 0: nothing.
  int64_t guaranteed_cpu_millis = 0;
  int64_t guaranteed_memory_bytes = 0;
  int64_t guaranteed_devices = 0;
  // Never exceeded by what the project (with its children) holds; -1: no cap.
  int64_t max_cpu_millis = -1;
  int64_t max_memory_bytes = -1;
  int64_t max_devices = -1;
};

// Somebody wants the task not to run. A pending task ends at once; a running one is told to stop
// and ends when its worker says so or loses its lease.
struct TaskCancelled {
  TaskId task;
};

// A worker registers, comes back, or has changed. Its attempts stay as they are: report those that
// the worker no longer holds with AttemptFinished. Extends its lease.
struct WorkerSeen {
  WorkerId worker;
  Capacity capacity;
  // The pools it belongs to.
  std::vector<std::string> labels;
  bool draining = false;
  // What it has of what tasks read.
  std::vector<DataId> data;
};

// A sign of life. Extends the lease of all attempts there. A worker that had lost its lease is
// usable again, with what it had when it was last seen and without its former attempts.
struct WorkerHeartbeat {
  WorkerId worker;
};

// The worker gets nothing new until a WorkerSeen without `draining`; its attempts go on.
struct WorkerDraining {
  WorkerId worker;
};

// The worker has left for good: its attempts are lost now, and it is forgotten.
struct WorkerGone {
  WorkerId worker;
};

// Instead of TaskQueued, after a restart of the server: `task` runs as attempt `task.last_attempt`,
// and gets a new lease. The worker may still be unknown; it has one lease to be seen.
struct AttemptRestored {
  TaskQueued task;
  std::vector<Placement> placements;
  // For how long the attempt has run. Unit: milliseconds.
  int64_t ran_ms = 0;
  // The task was cancelled before the restart, and its worker may not know yet.
  bool cancelling = false;
};

struct AttemptStarted {
  TaskId task;
  int32_t attempt = 0;
};

// The attempt has written a durable checkpoint: what it has attained so far is not lost with it.
struct AttemptCheckpointed {
  TaskId task;
  int32_t attempt = 0;
};

struct AttemptFinished {
  TaskId task;
  int32_t attempt = 0;
  Outcome outcome = Outcome::kSucceeded;
};

// Time has passed. Send it when the time of the last SetTimer has come; more often does no harm.
struct Tick {};

using Event = std::variant<TaskQueued, TaskCancelled, WorkerSeen, WorkerHeartbeat, WorkerDraining,
                           WorkerGone, AttemptRestored, AttemptStarted, AttemptCheckpointed,
                           AttemptFinished, QuotaChanged, Tick>;

}  // namespace beamline::scheduler
