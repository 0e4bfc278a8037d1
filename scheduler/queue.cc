#include "scheduler/queue.h"

#include <cassert>

namespace beamline::scheduler {
namespace {

bool BelowGuarantee(const Project& project) {
  for (size_t i = 0; i < Amounts::kDimensions; ++i) {
    if (project.held.of[i] < project.guaranteed.of[i]) return true;
  }
  return false;
}

}  // namespace

bool ByShapeSerial::operator()(const Shape* a, const Shape* b) const {
  return a->serial < b->serial;
}

void TaskQueue::Enroll(Task& task) {
  task.project = &projects_.FindOrAdd(task.spec.project);
  ++task.project->tasks;
}

void TaskQueue::Discharge(Task& task) {
  assert(task.shape == nullptr);
  const Project& project = *task.project;
  --task.project->tasks;
  task.project = nullptr;
  projects_.ForgetIfIdle(project);
}

size_t TaskQueue::GroupOf(const Task& task) const {
  if (task.guarded || task.level >= options_.express_levels) return kGroups - 1;
  return static_cast<size_t>(task.level);
}

Class TaskQueue::ClassOf(const Project& project, size_t group) {
  if (project.below_guarantee) return Class::kGuaranteed;
  if (!project.express || group == kGroups - 1) return Class::kNormal;
  return group == 0 ? Class::kExpressFirst : Class::kExpressSecond;
}

Class TaskQueue::ClassOf(const Task& task) const { return ClassOf(*task.project, GroupOf(task)); }

void TaskQueue::Push(Task& task) {
  assert(task.shape == nullptr);
  std::unique_ptr<Shape>& shape = shapes_[task.spec.demand];
  if (shape == nullptr) {
    shape = std::make_unique<Shape>();
    shape->demand = task.spec.demand;
    shape->amounts = GangAmounts(shape->demand);
    shape->serial = ++last_serial_;
    open_shapes_.insert(shape.get());
  }
  task.shape = shape.get();
  ++shape->tasks;
  ++size_;
  if (options_.policy == Policy::kStrictFifo) fifo_.insert(&task);
  // Time never goes back, so the last to come has waited least.
  if (options_.preemption && !task.guarded) {
    task.wait_place = by_wait_.insert(by_wait_.end(), &task);
  }
  Project& project = *task.project;
  ++project.waiting;
  if (shape->counted) {
    BandSums& sums = project.bands[BandOf(task)];
    sums.waiting_amounts = sums.waiting_amounts + shape->amounts;
    ++sums.waiting;
  }
  Line& line = project.lines[shape.get()];
  line.groups[GroupOf(task)].insert(&task);
  Enter(project, *shape, line);
}

void TaskQueue::Remove(Task& task) {
  if (task.shape == nullptr) return;
  Shape& shape = *task.shape;
  Project& project = *task.project;
  --project.waiting;
  --shape.tasks;
  --size_;
  if (options_.policy == Policy::kStrictFifo) fifo_.erase(&task);
  if (options_.preemption && !task.guarded) by_wait_.erase(task.wait_place);
  if (shape.counted) {
    const auto sums = project.bands.find(BandOf(task));
    sums->second.waiting_amounts = sums->second.waiting_amounts - shape.amounts;
    if (--sums->second.waiting == 0 && sums->second.running.empty()) project.bands.erase(sums);
  }
  const auto line = project.lines.find(&shape);
  auto& group = line->second.groups[GroupOf(task)];
  group.erase(&task);
  task.shape = nullptr;
  if (group.empty()) {
    Leave(project, shape, line->second);
    const auto& groups = line->second.groups;
    if (groups[0].empty() && groups[1].empty() && groups[2].empty()) {
      project.lines.erase(line);
    } else {
      Enter(project, shape, line->second);
    }
  }
  if (shape.tasks > 0) return;
  open_shapes_.erase(&shape);
  shapes_.erase(Demand(shape.demand));
}

void TaskQueue::Enter(Project& project, Shape& shape, Line& line) {
  if (line.capped) return;
  for (size_t group = 0; group < kGroups; ++group) {
    if (line.groups[group].empty()) continue;
    const auto at = static_cast<size_t>(ClassOf(project, group));
    if (line.entered[at]) continue;
    line.entered[at] = true;
    shape.contests[at].insert(&project);
  }
}

void TaskQueue::Leave(Project& project, Shape& shape, Line& line) {
  for (size_t at = 0; at < kClasses; ++at) {
    if (!line.entered[at]) continue;
    line.entered[at] = false;
    shape.contests[at].erase(&project);
  }
}

void TaskQueue::EnterAll(Project& project) {
  for (auto& [shape, line] : project.lines) {
    line.capped = false;
    Enter(project, *shape, line);
  }
  for (const auto& [id, child] : project.children) EnterAll(*child);
}

void TaskQueue::LeaveAll(Project& project) {
  for (auto& [shape, line] : project.lines) Leave(project, *shape, line);
  for (const auto& [id, child] : project.children) LeaveAll(*child);
}

void TaskQueue::Reorder(Project& project, const std::function<void()>& change) {
  Project& top = *project.path.front();
  LeaveAll(top);
  change();
  EnterAll(*project.path.front());
  if (project.path.front() != &top) EnterAll(top);
}

void TaskQueue::ChangeHeld(Project& project, const Amounts& change) {
  Project& top = *project.path.front();
  LeaveAll(top);
  for (Project* node : project.path) {
    node->held = node->held + change;
    node->held_share = DominantShare(node->held, total_);
  }
  project.below_guarantee = BelowGuarantee(project);
  EnterAll(top);
}

void TaskQueue::SetTotal(const Amounts& total) {
  total_ = total;
  for (const auto& [id, project] : projects_.all()) LeaveAll(*project);
  for (const auto& [id, project] : projects_.all()) {
    project->held_share = DominantShare(project->held, total_);
    project->below_guarantee = BelowGuarantee(*project);
  }
  for (const auto& [id, project] : projects_.all()) EnterAll(*project);
}

void TaskQueue::Charge(Task& task) {
  Project& project = *task.project;
  BandSums& sums = project.bands[BandOf(task)];
  sums.running.insert(&task);
  sums.running_amounts = sums.running_amounts + task.held;
  ChangeHeld(project, task.held);
}

void TaskQueue::Discount(Task& task) {
  Project& project = *task.project;
  const auto sums = project.bands.find(BandOf(task));
  sums->second.running.erase(&task);
  sums->second.running_amounts = sums->second.running_amounts - task.held;
  if (sums->second.running.empty() && sums->second.waiting == 0) project.bands.erase(sums);
  ChangeHeld(project, Amounts() - task.held);
}

void TaskQueue::ChargeLeaving(Task& task, int64_t sign) {
  for (Project* node : task.project->path) node->leaving = node->leaving + task.held * sign;
  // What the cap kept out may have room.
  if (sign < 0) Reorder(*task.project, [] {});
}

Task* TaskQueue::HeadOf(const Project& project, const Shape& shape, Class of_class) {
  const Line& line = project.lines.at(const_cast<Shape*>(&shape));
  Task* head = nullptr;
  for (size_t group = 0; group < kGroups; ++group) {
    if (line.groups[group].empty()) continue;
    Task* first = *line.groups[group].begin();
    // A guarded task takes its own project's next turn, of whichever class that is.
    if (ClassOf(project, group) != of_class && !first->guarded) continue;
    if (head == nullptr || ByRank()(first, head)) head = first;
  }
  return head;
}

Task* TaskQueue::First() {
  if (options_.policy == Policy::kStrictFifo) {
    if (fifo_.empty() || !(*fifo_.begin())->shape->open) return nullptr;
    return *fifo_.begin();
  }
  for (size_t at = 0; at < kClasses;) {
    Project* best = nullptr;
    Task* task = nullptr;
    for (Shape* shape : open_shapes_) {
      if (shape->contests[at].empty()) continue;
      Project* project = *shape->contests[at].begin();
      if (best != nullptr && best != project && !HoldsLess(*project, *best)) continue;
      Task* head = HeadOf(*project, *shape, static_cast<Class>(at));
      if (best == project && !ByRank()(head, task)) continue;
      best = project;
      task = head;
    }
    if (task == nullptr) {
      ++at;
    } else if (CapAllows(*best, task->shape->amounts)) {
      return task;
    } else {
      Line& line = best->lines.at(task->shape);
      Leave(*best, *task->shape, line);
      line.capped = true;
    }
  }
  return nullptr;
}

std::vector<Task*> TaskQueue::Starved(int64_t since_ms) const {
  std::vector<Task*> tasks;
  for (Task* task : by_wait_) {
    if (task->waits_since_ms > since_ms) break;
    tasks.push_back(task);
  }
  return tasks;
}

void TaskQueue::OpenWhere(const std::function<bool(const Demand&)>& fits) {
  for (const auto& [demand, shape] : shapes_) {
    if (!shape->open && fits(demand)) SetOpen(*shape, true);
  }
}

void TaskQueue::SetOpen(Shape& shape, bool open) {
  shape.open = open;
  if (open) {
    open_shapes_.insert(&shape);
  } else {
    open_shapes_.erase(&shape);
  }
}

void TaskQueue::SetCounted(Shape& shape, bool counted) {
  if (shape.counted == counted) return;
  const auto add = [](Project& project, const Task& task, const Amounts& amounts, int sign) {
    BandSums& sums = project.bands[BandOf(task)];
    sums.waiting_amounts = sums.waiting_amounts + amounts * sign;
    sums.waiting += sign;
    if (sums.waiting == 0 && sums.running.empty()) project.bands.erase(BandOf(task));
  };
  for (const auto& [id, project] : projects_.all()) {
    const auto line = project->lines.find(&shape);
    if (line == project->lines.end()) continue;
    for (const auto& group : line->second.groups) {
      for (const Task* task : group) add(*project, *task, shape.amounts, counted ? 1 : -1);
    }
  }
  shape.counted = counted;
}

std::vector<const Task*> TaskQueue::All() const {
  std::vector<const Task*> tasks;
  tasks.reserve(size_);
  for (const auto& [id, project] : projects_.all()) {
    for (const auto& [shape, line] : project->lines) {
      for (const auto& group : line.groups) tasks.insert(tasks.end(), group.begin(), group.end());
    }
  }
  return tasks;
}

}  // namespace beamline::scheduler
