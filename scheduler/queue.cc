#include "scheduler/queue.h"

#include <algorithm>
#include <cassert>

namespace beamline::scheduler {
namespace {

bool BelowGuarantee(const Project& project) {
  for (size_t i = 0; i < Amounts::kDimensions; ++i) {
    if (project.held.of[i] < project.guaranteed.of[i]) return true;
  }
  return false;
}

// Where the line of `shape` is, or would be.
std::vector<std::unique_ptr<Line>>::iterator PlaceOf(Project& project, const Shape& shape) {
  return std::lower_bound(project.lines.begin(), project.lines.end(), shape.serial,
                          [](const std::unique_ptr<Line>& line, int64_t serial) {
                            return line->shape.serial < serial;
                          });
}

Line* FindLine(Project& project, const Shape& shape) {
  const auto place = PlaceOf(project, shape);
  return place != project.lines.end() && &(*place)->shape == &shape ? place->get() : nullptr;
}

Line& FindOrAddLine(Project& project, Shape& shape) {
  if (Line* line = FindLine(project, shape)) return *line;
  return **project.lines.insert(PlaceOf(project, shape), std::make_unique<Line>(project, shape));
}

}  // namespace

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

Shape& TaskQueue::FindOrAddShape(const Demand& demand) {
  std::unique_ptr<Shape>& shape = shapes_[demand];
  if (shape == nullptr) {
    shape = std::make_unique<Shape>();
    shape->demand = demand;
    shape->amounts = GangAmounts(demand);
    shape->serial = ++last_serial_;
    open_shapes_.insert(shape.get());
  }
  return *shape;
}

void TaskQueue::SetCapped(Line& line) {
  line.capped = true;
  ++line.project.capped_lines;
  Leave(line);
}

void TaskQueue::SetCapped(Project& project, const Demand& demand) {
  SetCapped(*FindLine(project, FindOrAddShape(demand)));
}

void TaskQueue::Push(Task& task) {
  assert(task.shape == nullptr);
  Shape& shape = FindOrAddShape(task.spec.demand);
  task.shape = &shape;
  ++shape.tasks;
  ++size_;
  if (options_.policy == Policy::kStrictFifo) fifo_.insert(&task);
  if (options_.preemption && !task.guarded) EnterWaits(task);
  if (task.guarded) guarded_[{task.spec.demand.pool, task.spec.project}].insert(WaitOf(task));
  Project& project = *task.project;
  ++project.waiting;
  if (shape.counted) {
    BandSums& sums = project.SumsOf(BandOf(task));
    sums.waiting_amounts = sums.waiting_amounts + shape.amounts;
    ++sums.waiting;
  }
  Line& line = FindOrAddLine(project, shape);
  task.line = &line;
  const size_t group = GroupOf(task);
  line.groups[group].Insert(RankOf(task));
  if (line.waits[group]) return;
  line.waits[group] = true;
  Enter(line);
}

// Time never goes back, so the last to come has waited least.
void TaskQueue::EnterWaits(Task& task) {
  task.waits_before = waits_least_;
  task.waits_after = nullptr;
  (waits_least_ == nullptr ? waits_longest_ : waits_least_->waits_after) = &task;
  waits_least_ = &task;
}

void TaskQueue::LeaveWaits(Task& task) {
  (task.waits_before == nullptr ? waits_longest_ : task.waits_before->waits_after) =
      task.waits_after;
  (task.waits_after == nullptr ? waits_least_ : task.waits_after->waits_before) = task.waits_before;
  task.waits_before = task.waits_after = nullptr;
}

void TaskQueue::Remove(Task& task) {
  if (task.shape == nullptr) return;
  Shape& shape = *task.shape;
  Project& project = *task.project;
  --project.waiting;
  --shape.tasks;
  --size_;
  if (options_.policy == Policy::kStrictFifo) fifo_.erase(&task);
  if (options_.preemption && !task.guarded) LeaveWaits(task);
  if (task.guarded) {
    const auto place = guarded_.find({task.spec.demand.pool, task.spec.project});
    place->second.erase(WaitOf(task));
    if (place->second.empty()) guarded_.erase(place);
  }
  if (shape.counted) {
    BandSums& sums = project.SumsOf(BandOf(task));
    sums.waiting_amounts = sums.waiting_amounts - shape.amounts;
    if (--sums.waiting == 0) project.DropIfIdle(sums.band);
  }
  Line& line = *task.line;
  const size_t group = GroupOf(task);
  line.groups[group].Erase(RankOf(task));
  task.shape = nullptr;
  task.line = nullptr;
  if (line.groups[group].empty()) {
    line.waits[group] = false;
    Enter(line);
    if (line.waits == std::array<bool, kGroups>{}) {
      if (line.capped) --project.capped_lines;
      project.lines.erase(PlaceOf(project, shape));
    }
  }
  if (shape.tasks > 0) return;
  open_shapes_.erase(&shape);
  shapes_.erase(Demand(shape.demand));
}

void TaskQueue::Enter(Line& line) {
  std::array<bool, kClasses> wanted{};
  for (size_t group = 0; group < kGroups; ++group) {
    if (line.capped || !line.waits[group]) continue;
    wanted[static_cast<size_t>(ClassOf(line.project, group))] = true;
  }
  for (size_t at = 0; at < kClasses; ++at) {
    if (wanted[at]) {
      line.shape.contests[at].Enter(line);
    } else {
      line.shape.contests[at].Leave(line);
    }
  }
}

void TaskQueue::Leave(Line& line) {
  for (Contest& contest : line.shape.contests) contest.Leave(line);
}

void TaskQueue::EnterAll(Project& project) {
  project.capped_lines = 0;
  for (const std::unique_ptr<Line>& line : project.lines) {
    line->capped = false;
    Enter(*line);
  }
  for (const auto& [id, child] : project.children) EnterAll(*child);
}

void TaskQueue::LeaveAll(Project& project) {
  for (const std::unique_ptr<Line>& line : project.lines) Leave(*line);
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
  // One that stands alone moves; relatives change places among each other.
  const bool alone = top.children.empty();
  if (!alone) LeaveAll(top);
  const Ratio ratio = project.held_ratio;
  for (Project* node : project.path) {
    node->held = node->held + change;
    SetHeldShare(*node, total_);
  }
  const bool below = BelowGuarantee(project);
  // Contests find out by themselves that one holds more.
  const bool only_more = alone && project.held_ratio >= ratio && project.capped_lines == 0;
  if (only_more && below == project.below_guarantee) return;
  project.below_guarantee = below;
  EnterAll(top);
}

void TaskQueue::SetTotal(const Amounts& total) {
  total_ = total;
  for (const auto& [id, project] : projects_.all()) LeaveAll(*project);
  for (const auto& [id, project] : projects_.all()) {
    SetHeldShare(*project, total_);
    project->below_guarantee = BelowGuarantee(*project);
  }
  for (const auto& [id, project] : projects_.all()) EnterAll(*project);
}

void TaskQueue::Charge(Task& task) {
  Project& project = *task.project;
  BandSums& sums = project.SumsOf(BandOf(task));
  sums.running.Insert(EntryOf(task));
  sums.running_amounts = sums.running_amounts + task.held;
  ChangeHeld(project, task.held);
}

void TaskQueue::Discount(Task& task) {
  Project& project = *task.project;
  BandSums& sums = project.SumsOf(BandOf(task));
  sums.running.Erase(EntryOf(task));
  sums.running_amounts = sums.running_amounts - task.held;
  if (sums.running.empty()) project.DropIfIdle(sums.band);
  ChangeHeld(project, Amounts() - task.held);
}

void TaskQueue::ChargeLeaving(Task& task, int64_t sign) {
  for (Project* node : task.project->path) node->leaving = node->leaving + task.held * sign;
  // What the cap kept out may have room.
  if (sign < 0) Reorder(*task.project, [] {});
}

Task* TaskQueue::HeadOf(const Line& line, Class of_class) {
  const RankKey* head = nullptr;
  for (size_t group = 0; group < kGroups; ++group) {
    if (!line.waits[group]) continue;
    const RankKey& first = *line.groups[group].begin();
    // A guarded task takes its own project's next turn, of whichever class that is.
    if (ClassOf(line.project, group) != of_class && !first.band.guarded) continue;
    if (head == nullptr || first < *head) head = &first;
  }
  return head == nullptr ? nullptr : head->entry.task;
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
      Line& line = shape->contests[at].First();
      if (best != nullptr && best != &line.project && !HoldsLess(line.project, *best)) continue;
      Task* head = HeadOf(line, static_cast<Class>(at));
      if (best == &line.project && !RankBefore(*head, *task)) continue;
      best = &line.project;
      task = head;
    }
    if (task == nullptr) {
      ++at;
    } else if (CapAllows(*best, task->shape->amounts)) {
      return task;
    } else {
      SetCapped(*task->line);
    }
  }
  return nullptr;
}

std::vector<Task*> TaskQueue::Starved(int64_t since_ms) const {
  std::vector<Task*> tasks;
  for (Task* task = waits_longest_; task != nullptr; task = task->waits_after) {
    if (task->waits_since_ms > since_ms) break;
    tasks.push_back(task);
  }
  return tasks;
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
    BandSums& sums = project.SumsOf(BandOf(task));
    sums.waiting_amounts = sums.waiting_amounts + amounts * sign;
    sums.waiting += sign;
    if (sums.waiting == 0) project.DropIfIdle(sums.band);
  };
  for (const auto& [id, project] : projects_.all()) {
    const Line* line = FindLine(*project, shape);
    if (line == nullptr) continue;
    for (const auto& group : line->groups) {
      for (const RankKey& key : group) {
        add(*project, *key.entry.task, shape.amounts, counted ? 1 : -1);
      }
    }
  }
  shape.counted = counted;
}

std::vector<const Task*> TaskQueue::All() const {
  std::vector<const Task*> tasks;
  tasks.reserve(size_);
  for (const auto& [id, project] : projects_.all()) {
    for (const std::unique_ptr<Line>& line : project->lines) {
      for (const auto& group : line->groups) {
        for (const RankKey& key : group) tasks.push_back(key.entry.task);
      }
    }
  }
  return tasks;
}

}  // namespace beamline::scheduler
