// What becomes due: the leases of workers, the back-off of tasks and the grace of preempted
// attempts. Private to this folder.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "scheduler/placement.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// The connected workers by the end of their lease. Not thread-safe; owns nothing.
class Leases {
 public:
  // Gives `worker` a lease until then, in place of the one it had.
  void Extend(Worker& worker, int64_t until_ms);
  void Drop(Worker& worker);
  // A worker whose lease ended before `now_ms`, the earliest first; nullptr: none.
  Worker* Expired(int64_t now_ms) const;
  // When there will be one, if nothing else happens; 0: never. Unit: milliseconds.
  int64_t NextMs() const;

 private:
  struct ByEnd {
    bool operator()(const Worker* a, const Worker* b) const {
      if (a->lease_until_ms != b->lease_until_ms) return a->lease_until_ms < b->lease_until_ms;
      return a->id < b->id;
    }
  };
  std::set<Worker*, ByEnd> workers_;
};

// The attempts that were asked to leave, by the end of their grace. Not thread-safe; owns nothing.
class Graces {
 public:
  // Until task.deadline_ms, which must not change meanwhile.
  void Push(Task& task) { tasks_.insert(&task); }
  void Remove(Task& task) { tasks_.erase(&task); }
  // A task whose grace ended by `now_ms`, the earliest first; nullptr: none.
  Task* Over(int64_t now_ms) const {
    if (tasks_.empty() || (*tasks_.begin())->deadline_ms > now_ms) return nullptr;
    return *tasks_.begin();
  }
  // 0: never. Unit: milliseconds.
  int64_t NextMs() const { return tasks_.empty() ? 0 : (*tasks_.begin())->deadline_ms; }

 private:
  struct ByDeadline {
    bool operator()(const Task* a, const Task* b) const {
      if (a->deadline_ms != b->deadline_ms) return a->deadline_ms < b->deadline_ms;
      return a->spec.task < b->spec.task;
    }
  };
  std::set<Task*, ByDeadline> tasks_;
};

// The pending tasks that are not due yet. Not thread-safe; owns nothing.
class BackOff {
 public:
  // Until task.spec.not_before_ms, which must not change meanwhile.
  void Push(Task& task) { tasks_.insert(&task); }
  void Remove(Task& task) { tasks_.erase(&task); }
  // A task whose time has come by `now_ms`, the earliest first; nullptr: none.
  Task* Due(int64_t now_ms) const;
  // 0: never. Unit: milliseconds.
  int64_t NextMs() const;

 private:
  struct ByTime {
    bool operator()(const Task* a, const Task* b) const {
      if (a->spec.not_before_ms != b->spec.not_before_ms) {
        return a->spec.not_before_ms < b->spec.not_before_ms;
      }
      return a->spec.task < b->spec.task;
    }
  };

 public:
  const std::set<Task*, ByTime>& all() const { return tasks_; }

 private:
  std::set<Task*, ByTime> tasks_;
};

}  // namespace beamline::scheduler
