// The scheduler's own record of a task. Private to this folder.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "scheduler/amounts.h"
#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/resources.h"
#include "scheduler/scheduler.h"

namespace beamline::scheduler {

struct Project;
struct Shape;
struct Worker;

// Not thread-safe; owned by the scheduler, at one address from TaskQueued to EndTask.
struct Task {
  // As it came, but for `last_attempt`, `failures`, `losses` and `not_before_ms`, which are kept
  // current, and the defaults of `max_attempts` and `queued_at_ms`, which are filled in.
  TaskQueued spec;
  TaskState state = TaskState::kPending;
  // Of the live attempt; of the reserved place while kReserved; empty while pending. `workers` are
  // those of `placements`, one by one.
  std::vector<Placement> placements;
  std::vector<Worker*> workers;
  // The sum of `placements` while live.
  Amounts held;
  // Where the attempt goes on after its preemption; empty: nowhere yet.
  std::vector<Placement> next_placements;
  std::vector<Worker*> next_workers;
  // Set while the task waits in the queue and is due; null while it backs off.
  Shape* shape = nullptr;
  // Set from TaskQueued to EndTask.
  Project* project = nullptr;

  // Attained service: kept for sure (in a checkpoint or by a former attempt), and of the live
  // attempt since `serves_since_ms` (0: it does not run). Unit: see TaskQueued::attained.
  int64_t attained = 0;
  int64_t serves_since_ms = 0;
  int64_t rate = 0;
  int32_t level = 0;
  // Its place among equals of its level. For level 0 the time queued.
  int64_t entered_ms = 0;
  // When the level ends if the attempt goes on; 0: never.
  int64_t crosses_ms = 0;
  // Starvation guard: goes first in its project, until `guarded_until_ms` once it runs.
  bool guarded = false;
  int64_t guarded_until_ms = 0;
  int64_t waits_since_ms = 0;
  // Its place among all that wait; valid while queued and not guarded.
  std::list<Task*>::iterator wait_place;
  int64_t started_ms = 0;
  // While kPreempting.
  int64_t deadline_ms = 0;
  TaskId beneficiary;
  // Was asked to leave, and has not left yet: its places are spare.
  bool vacating = false;
  // Counts for what its project holds.
  bool charged = false;
  // Those that make room for it.
  std::vector<TaskId> victims;
  // Not its victim any more: goes first when a place is free.
  bool resumes_first = false;
  // Marks of the round in progress; see preemption.h.
  int64_t victim_of_round = 0;
  int64_t chosen_of_plan = 0;

  bool live() const { return state != TaskState::kPending && state != TaskState::kReserved; }
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

// A project's own order: guarded tasks, then priority, then level.
struct Band {
  bool guarded = false;
  int32_t priority = 0;
  int32_t level = 0;
  bool operator<(const Band& other) const {
    if (guarded != other.guarded) return guarded;
    if (priority != other.priority) return priority > other.priority;
    return level < other.level;
  }
  bool operator==(const Band&) const = default;
};

inline Band BandOf(const Task& task) {
  if (task.guarded) return {true, 0, 0};
  return {false, task.spec.priority, task.level};
}

// Inside a band.
struct ByEntry {
  bool operator()(const Task* a, const Task* b) const {
    if (a->entered_ms != b->entered_ms) return a->entered_ms < b->entered_ms;
    return a->spec.task < b->spec.task;
  }
};

// A project's waiting tasks.
struct ByRank {
  bool operator()(const Task* a, const Task* b) const {
    const Band left = BandOf(*a);
    const Band right = BandOf(*b);
    if (!(left == right)) return left < right;
    return ByEntry()(a, b);
  }
};

}  // namespace beamline::scheduler
