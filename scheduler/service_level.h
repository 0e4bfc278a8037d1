// How much service a task has had, and the level that follows from it. Private to this folder.
//
// Least attained service first is what a scheduler can do that does not know run times: tasks that
// turn out short are out of the way early (2D-LAS of Tiresias, Gu et al., NSDI'19).
#pragma once

#include <cstdint>
#include <set>

#include "scheduler/scheduler.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// The level of a task with this much service. Unit: see TaskQueued::attained.
int32_t LevelOf(const Options& options, int64_t attained);

// A task's order in its project: the level of the service that it is predicted to need still; its
// own level if nothing is predicted, or if it has had more than that already.
int32_t RankOf(const Options& options, const Task& task);

// What the live attempt has attained by `now_ms`, with what was kept before.
int64_t AttainedBy(const Task& task, int64_t now_ms);

// The running tasks by the time at which they leave their level. Not thread-safe; owns nothing.
class Crossings {
 public:
  // The attempt makes progress from `now_ms` on, and leaves its level when its time has come.
  void Begin(const Options& options, Task& task, int64_t now_ms);
  // As Begin left it, after a snapshot was read.
  void Restore(Task& task) {
    if (task.crosses_ms != 0) tasks_.insert(&task);
  }
  // The attempt is over or stands still. `keep`: what it attained counts.
  void End(Task& task, int64_t now_ms, bool keep);
  // The attempt goes on in the next level. Its crosses_ms has passed.
  void Advance(const Options& options, Task& task);
  // A task whose time has come by `now_ms`, the earliest first; nullptr: none.
  Task* Due(int64_t now_ms) const;

 private:
  void Arm(const Options& options, Task& task);

  struct ByTime {
    bool operator()(const Task* a, const Task* b) const {
      if (a->crosses_ms != b->crosses_ms) return a->crosses_ms < b->crosses_ms;
      return a->spec.task < b->spec.task;
    }
  };
  std::set<Task*, ByTime> tasks_;
};

}  // namespace beamline::scheduler
