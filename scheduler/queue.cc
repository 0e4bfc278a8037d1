#include "scheduler/queue.h"

#include <cassert>

namespace beamline::scheduler {
namespace {

LaneKey KeyOf(const Task& task) { return {task.spec.priority, task.shape->serial}; }

}  // namespace

void TaskQueue::Enroll(Task& task) {
  std::unique_ptr<Project>& project = projects_[task.spec.project];
  if (project == nullptr) {
    project = std::make_unique<Project>();
    project->id = task.spec.project;
  }
  ++project->tasks;
  task.project = project.get();
}

void TaskQueue::Discharge(Task& task) {
  assert(task.shape == nullptr);
  Project* project = task.project;
  task.project = nullptr;
  if (--project->tasks == 0) projects_.erase(ProjectId(project->id));
}

void TaskQueue::Push(Task& task) {
  assert(task.shape == nullptr);
  std::unique_ptr<Shape>& shape = shapes_[task.spec.demand];
  if (shape == nullptr) {
    shape = std::make_unique<Shape>();
    shape->demand = task.spec.demand;
    shape->serial = ++last_serial_;
  }
  task.shape = shape.get();
  const LaneKey key = KeyOf(task);
  Lane& lane = lanes_[key];
  lane.shape = shape.get();
  shape->priorities.insert(key.priority);
  if (shape->open) open_lanes_[key] = &lane;

  Project& project = *task.project;
  std::set<Task*, ByAge>& line = project.lines[key];
  if (!line.empty()) lane.heads.erase({project.held_units, *line.begin()});
  line.insert(&task);
  lane.heads.insert({project.held_units, *line.begin()});
  ++size_;
}

void TaskQueue::Remove(Task& task) {
  if (task.shape == nullptr) return;
  const LaneKey key = KeyOf(task);
  Shape& shape = *task.shape;
  Lane& lane = lanes_.at(key);
  Project& project = *task.project;
  const auto line = project.lines.find(key);
  lane.heads.erase({project.held_units, *line->second.begin()});
  line->second.erase(&task);
  if (line->second.empty()) {
    project.lines.erase(line);
  } else {
    lane.heads.insert({project.held_units, *line->second.begin()});
  }
  task.shape = nullptr;
  --size_;
  if (!lane.heads.empty()) return;
  open_lanes_.erase(key);
  lanes_.erase(key);
  shape.priorities.erase(key.priority);
  if (shape.priorities.empty()) shapes_.erase(Demand(shape.demand));
}

Task* TaskQueue::First() const {
  const Head* best = nullptr;
  for (const auto& [key, lane] : open_lanes_) {
    if (best != nullptr && key.priority != best->task->spec.priority) break;
    const Head& head = *lane->heads.begin();
    if (best == nullptr || head < *best) best = &head;
  }
  return best == nullptr ? nullptr : best->task;
}

void TaskQueue::Close(Shape& shape) { SetOpen(shape, false); }

void TaskQueue::OpenWhere(const std::function<bool(const Demand&)>& fits) {
  for (const auto& [demand, shape] : shapes_) {
    if (!shape->open && fits(demand)) SetOpen(*shape, true);
  }
}

void TaskQueue::SetOpen(Shape& shape, bool open) {
  shape.open = open;
  for (const int32_t priority : shape.priorities) {
    const LaneKey key{priority, shape.serial};
    if (open) {
      open_lanes_[key] = &lanes_.at(key);
    } else {
      open_lanes_.erase(key);
    }
  }
}

void TaskQueue::Charge(Project& project, int64_t units) {
  for (const auto& [key, line] : project.lines) {
    lanes_.at(key).heads.erase({project.held_units, *line.begin()});
  }
  project.held_units += units;
  for (const auto& [key, line] : project.lines) {
    lanes_.at(key).heads.insert({project.held_units, *line.begin()});
  }
}

std::vector<const Task*> TaskQueue::All() const {
  std::vector<const Task*> tasks;
  tasks.reserve(size_);
  for (const auto& [key, lane] : lanes_) {
    for (const Head& head : lane.heads) {
      const std::set<Task*, ByAge>& line = head.task->project->lines.at(key);
      tasks.insert(tasks.end(), line.begin(), line.end());
    }
  }
  return tasks;
}

}  // namespace beamline::scheduler
