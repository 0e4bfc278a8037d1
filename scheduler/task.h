// The scheduler's own record of a task. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scheduler/amounts.h"
#include "scheduler/events.h"
#include "scheduler/ids.h"
#include "scheduler/resources.h"
#include "scheduler/scheduler.h"

namespace beamline::scheduler {

struct Line;
struct Project;
struct Shape;
struct Task;
struct Worker;

// A project's own order: guarded tasks, then priority, then rank, then level.
struct Band {
  bool guarded = false;
  int32_t priority = 0;
  int32_t rank = 0;
  int32_t level = 0;
  bool operator<(const Band& other) const {
    if (guarded != other.guarded) return guarded;
    if (priority != other.priority) return priority > other.priority;
    return rank != other.rank ? rank < other.rank : level < other.level;
  }
  bool operator==(const Band&) const = default;
};

// A task in an ordered table, by a time and then by name. Holds what is compared, so that a search
// rarely has to look at tasks.
struct TimeKey {
  int64_t time_ms = 0;
  uint64_t name = 0;
  Task* task = nullptr;
};
bool operator<(const TimeKey& a, const TimeKey& b);

// A project's waiting tasks: by band, then by the time at which they entered it.
struct RankKey {
  Band band;
  TimeKey entry;
};
bool operator<(const RankKey& a, const RankKey& b);

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
  Line* line = nullptr;
  // Set from TaskQueued to EndTask.
  Project* project = nullptr;

  // Attained service: kept for sure (in a checkpoint or by a former attempt), and of the live
  // attempt since `serves_since_ms` (0: it does not run). Unit: see TaskQueued::attained.
  int64_t attained = 0;
  int64_t serves_since_ms = 0;
  int64_t rate = 0;
  int32_t level = 0;
  // See RankOf in service_level.h.
  int32_t rank = 0;
  // Its place among equals of its level. For level 0 the time queued.
  int64_t entered_ms = 0;
  // When the level ends if the attempt goes on; 0: never.
  int64_t crosses_ms = 0;
  // Starvation guard: goes first in its project, until `guarded_until_ms` once it runs.
  bool guarded = false;
  int64_t guarded_until_ms = 0;
  // While kReserved: nobody was asked to leave its place, which is kept free for it; see holds.cc.
  bool holds = false;
  int64_t waits_since_ms = 0;
  // Its neighbours among all that wait; set while queued and not guarded.
  Task* waits_before = nullptr;
  Task* waits_after = nullptr;
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
  // PrefixOf(spec.task).
  uint64_t name = 0;

  bool live() const { return state != TaskState::kPending && state != TaskState::kReserved; }
};

// Asks for the memory of `object` ahead of its use: with many tasks and workers most of the time is
// spent waiting for memory, and such waits overlap.
template <class T>
void Prefetch(const T& object) {
  const char* begin = reinterpret_cast<const char*>(&object);
  for (size_t at = 0; at < sizeof(T); at += 64) __builtin_prefetch(begin + at);
}

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
  bool operator()(const Task* a, const Task* b) const {
    return a->name != b->name ? a->name < b->name : a->spec.task < b->spec.task;
  }
};

inline bool operator<(const TimeKey& a, const TimeKey& b) {
  if (a.time_ms != b.time_ms) return a.time_ms < b.time_ms;
  if (a.name != b.name) return a.name < b.name;
  return a.task->spec.task < b.task->spec.task;
}

inline bool operator<(const RankKey& a, const RankKey& b) {
  return a.band == b.band ? a.entry < b.entry : a.band < b.band;
}

inline Band BandOf(const Task& task) {
  if (task.guarded) return {true, 0, 0, 0};
  return {false, task.spec.priority, task.rank, task.level};
}

inline TimeKey WaitOf(Task& task) { return {task.waits_since_ms, task.name, &task}; }
// Inside a band.
inline TimeKey EntryOf(Task& task) { return {task.entered_ms, task.name, &task}; }
inline RankKey RankOf(Task& task) { return {BandOf(task), EntryOf(task)}; }
inline bool RankBefore(const Task& a, const Task& b) {
  const Band left = BandOf(a);
  const Band right = BandOf(b);
  if (!(left == right)) return left < right;
  return a.entered_ms != b.entered_ms ? a.entered_ms < b.entered_ms : ByTaskId()(&a, &b);
}

}  // namespace beamline::scheduler
