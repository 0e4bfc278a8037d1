// The tasks that are due, in the order in which they start. Private to this folder.
//
// Tasks with equal demands share a Shape: either all of them fit somewhere or none does, so a whole
// shape is closed when its first task finds no place and opened when some worker has room for one.
// A Lane holds the tasks of one priority and shape, as one line per project; the lane knows which
// project's turn it is. An event therefore costs O(open lanes + log tasks), however long the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/resources.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

// Higher priorities first; `shape` is the serial number of a Shape.
struct LaneKey {
  int32_t priority = 0;
  int64_t shape = 0;
  bool operator<(const LaneKey& other) const {
    return priority != other.priority ? priority > other.priority : shape < other.shape;
  }
};

struct Shape {
  Demand demand;
  int64_t serial = 0;
  bool open = true;
  // Priorities at which tasks of this shape wait.
  std::set<int32_t> priorities;
  // Whether some usable worker could hold one when idle; valid while `checked_at` is the current
  // version of the cluster.
  bool feasible = false;
  int64_t checked_at = -1;
};

// A project with tasks here, waiting or live.
struct Project {
  ProjectId id;
  int64_t held_units = 0;
  int64_t tasks = 0;
  std::map<LaneKey, std::set<Task*, ByAge>> lines;
};

// Not thread-safe. Owns projects, shapes and lanes, but no tasks.
class TaskQueue {
 public:
  // Counts `task` as one of its project, and sets task->project. Once in its life.
  void Enroll(Task& task);
  // The end of that; the task must not be queued.
  void Discharge(Task& task);

  // Adds a task that is due, in its place, and sets task->shape. A new shape is open.
  void Push(Task& task);
  // Takes it out again; no-op if it is not in.
  void Remove(Task& task);

  // The next task among the open shapes; nullptr if there is none.
  Task* First() const;
  // No worker has room for a task of this shape now.
  void Close(Shape& shape);
  // Opens the closed shapes for which `fits` is true.
  void OpenWhere(const std::function<bool(const Demand&)>& fits);

  // Adds `units` (may be negative) to what the project holds, and so moves its place.
  void Charge(Project& project, int64_t units);

  size_t size() const { return size_; }
  // All queued tasks, in no useful order.
  std::vector<const Task*> All() const;

 private:
  // A project's first task in a lane. Copies what it is ordered by.
  struct Head {
    int64_t held_units;
    Task* task;
    bool operator<(const Head& other) const {
      if (held_units != other.held_units) return held_units < other.held_units;
      return ByAge()(task, other.task);
    }
  };
  struct Lane {
    Shape* shape = nullptr;
    std::set<Head> heads;
  };

  void SetOpen(Shape& shape, bool open);

  std::unordered_map<ProjectId, std::unique_ptr<Project>, IdHash> projects_;  // only looked up
  std::map<Demand, std::unique_ptr<Shape>> shapes_;
  std::map<LaneKey, Lane> lanes_;
  // The lanes of open shapes. Invariant: exactly those of lanes_ whose shape is open.
  std::map<LaneKey, const Lane*> open_lanes_;
  int64_t last_serial_ = 0;
  size_t size_ = 0;
};

}  // namespace beamline::scheduler
