// The scheduler's own record of a task. Private to this folder.
#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/resources.h"
#include "scheduler/scheduler.h"

namespace beamline::scheduler {

struct Project;
struct Shape;

// Not thread-safe; owned by the scheduler, at one address from TaskQueued to EndTask.
struct Task {
  // As it came, but for `last_attempt`, `failures`, `losses` and `not_before_ms`, which are kept
  // current, and the defaults of `max_attempts` and `queued_at_ms`, which are filled in.
  TaskQueued spec;
  TaskState state = TaskState::kPending;
  // Of the live attempt; empty while pending.
  std::vector<Placement> placements;
  // Set while the task waits in the queue and is due; null while it backs off.
  Shape* shape = nullptr;
  // Set from TaskQueued to EndTask.
  Project* project = nullptr;
};

// Longest waiting first; names break ties, addresses never do.
struct ByAge {
  bool operator()(const Task* a, const Task* b) const {
    if (a->spec.queued_at_ms != b->spec.queued_at_ms) {
      return a->spec.queued_at_ms < b->spec.queued_at_ms;
    }
    return a->spec.task < b->spec.task;
  }
};

struct ByTaskId {
  bool operator()(const Task* a, const Task* b) const { return a->spec.task < b->spec.task; }
};

}  // namespace beamline::scheduler
