// The tasks that are due, in the order in which they start. Private to this folder.
//
// Tasks with equal demands share a Shape: either all of them fit somewhere or none does, so a whole
// shape is closed when its first task finds no place and opened when some worker has room for one.
// Each shape holds a contest per class: the projects with such tasks, by held share. A project has
// one Line per shape. An event therefore costs O(open shapes + shapes of its project) * O(log
// projects), however long the queue.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/ids.h"
#include "scheduler/projects.h"
#include "scheduler/resources.h"
#include "scheduler/task.h"

namespace beamline::scheduler {

struct Shape {
  Demand demand;
  // GangAmounts(demand).
  Amounts amounts;
  int64_t serial = 0;
  bool open = true;
  int64_t tasks = 0;
  // The projects that have such tasks waiting, by the class of these.
  std::array<Contest, kClasses> contests = {Contest(0), Contest(1), Contest(2), Contest(3)};
  // Whether the usable workers could hold one when idle; valid while `checked_at` is the current
  // version of the cluster. `counted`: its tasks count as demand.
  bool feasible = false;
  int64_t checked_at = -1;
  bool counted = true;
};

// Not thread-safe. Owns projects and shapes, but no tasks.
class TaskQueue {
 public:
  explicit TaskQueue(const Options& options) : options_(options) {}

  // Counts `task` as one of its project, and sets task->project. Once in its life.
  void Enroll(Task& task);
  // The end of that; the task must not be queued.
  void Discharge(Task& task);

  // Adds a task that is due, in its place, and sets task->shape. A new shape is open.
  void Push(Task& task);
  // Takes it out again; no-op if it is not in.
  void Remove(Task& task);

  // The next task among the open shapes; nullptr if there is none. With Policy::kStrictFifo the
  // oldest task of all, if its shape is open.
  Task* First();
  // No worker has room for a task of this shape now.
  void Close(Shape& shape) { SetOpen(shape, false); }
  // Opens the closed shapes for which `fits` is true.
  template <class Fits>
  void OpenWhere(Fits fits) {
    for (const auto& [demand, shape] : shapes_) {
      if (!shape->open && fits(demand)) SetOpen(*shape, true);
    }
  }
  // The tasks, not guarded yet, that have waited since `since_ms` or longer.
  std::vector<Task*> Starved(int64_t since_ms) const;
  // Those that are guarded, by pool and project; the longest waiting first.
  using Guarded = std::map<std::pair<std::string, ProjectId>, std::set<TimeKey>>;
  const Guarded& guarded() const { return guarded_; }
  // The shape of `demand`; a new one is open.
  Shape& FindOrAddShape(const Demand& demand);
  // The cap has no room for the project's tasks of this demand, of which there are some.
  static void SetCapped(Line& line);
  void SetCapped(Project& project, const Demand& demand);
  // Marks whether tasks of this shape count as demand.
  void SetCounted(Shape& shape, bool counted);

  // The project holds task.held from now on, or no longer. Not for queued tasks.
  void Charge(Task& task);
  void Discount(Task& task);
  // Amounts that are held by attempts which were asked to leave, and so are not charged.
  void ChargeLeaving(Task& task, int64_t sign);

  // Takes `project` and those below its top out of all contests while `change` alters what orders
  // them.
  void Reorder(Project& project, const std::function<void()>& change);
  // All shares are of this capacity from now on.
  void SetTotal(const Amounts& total);
  const Amounts& total() const { return total_; }

  ProjectTree& projects() { return projects_; }
  const ProjectTree& projects() const { return projects_; }
  const std::map<Demand, std::unique_ptr<Shape>>& shapes() const { return shapes_; }
  int32_t express_levels() const { return options_.express_levels; }
  size_t size() const { return size_; }
  // All queued tasks, in no useful order.
  std::vector<const Task*> All() const;
  // The class in which `task` competes now.
  Class ClassOf(const Task& task) const;
  // The group of Line::groups to which it belongs.
  size_t GroupOf(const Task& task) const;

 private:
  static Class ClassOf(const Project& project, size_t group);
  // Enters the line for the classes of its tasks, and for no others.
  static void Enter(Line& line);
  static void Leave(Line& line);
  static void EnterAll(Project& project);
  static void LeaveAll(Project& project);
  void EnterWaits(Task& task);
  void LeaveWaits(Task& task);
  void ChangeHeld(Project& project, const Amounts& change);
  void SetOpen(Shape& shape, bool open);
  static Task* HeadOf(const Line& line, Class of_class);

  const Options& options_;
  ProjectTree projects_;
  std::map<Demand, std::unique_ptr<Shape>> shapes_;
  struct BySerial {
    bool operator()(const Shape* a, const Shape* b) const { return a->serial < b->serial; }
  };
  // Invariant: exactly the shapes with open == true.
  std::set<Shape*, BySerial> open_shapes_;
  // Policy::kStrictFifo only.
  std::set<Task*, ByAge> fifo_;
  // Those that are not guarded, the longest waiting first; Options::preemption only.
  Task* waits_longest_ = nullptr;
  Task* waits_least_ = nullptr;
  Guarded guarded_;
  Amounts total_;
  int64_t last_serial_ = 0;
  size_t size_ = 0;
};

}  // namespace beamline::scheduler
