// Where a beneficiary goes, and who has to leave for it.
#include <algorithm>
#include <tuple>

#include "scheduler/preemption.h"

namespace beamline::scheduler {
namespace {

bool IsTaken(const Worker& worker, const std::vector<Seat>& taken) {
  return std::any_of(taken.begin(), taken.end(),
                     [&](const Seat& seat) { return seat.worker == &worker; });
}

int64_t DevicesOn(const Task& task, const Worker& worker) {
  int64_t devices = 0;
  for (size_t i = 0; i < task.workers.size(); ++i) {
    if (task.workers[i] == &worker)
      devices += static_cast<int64_t>(task.placements[i].devices.size());
  }
  return devices;
}

}  // namespace

bool Preemption::Eligible(const Task& beneficiary, const Task& victim) const {
  if (victim.victim_of_round != round_ || !Preemptible(victim)) return false;
  if (victim.project == beneficiary.project) {
    return now_ms_ - victim.started_ms >= options_.level_quantum_ms;
  }
  // Which of its tasks are in is the project's own affair as long as it holds no more than it is
  // owed.
  const Project& loser = *victim.project;
  if (loser.children.empty()) {
    const bool loses_more = loser.chosen_in_plan == plan_;
    const int64_t left =
        loses_more ? DominantShare(loser.held - loser.chosen, queue_.total()) : loser.held_share;
    if (left - DominantShare(victim.held, queue_.total()) / 2 < loser.entitled) return false;
  }
  return queue_.ClassOf(beneficiary) != Class::kNormal ||
         beneficiary.project->held_share < beneficiary.project->entitled;
}

bool Preemption::IsMovable(const Task& task, const Task& beneficiary) const {
  return Preemptible(task) && task.placements.size() == 1 &&
         ServiceRate(task.held) < ServiceRate(beneficiary.shape->amounts);
}

void Preemption::Mark(Task& task) {
  Project& project = *task.project;
  if (project.chosen_in_plan != plan_) project.chosen = Amounts();
  project.chosen_in_plan = plan_;
  project.chosen = project.chosen + task.held;
  task.chosen_of_plan = plan_;
}

void Preemption::Unmark(Task& task) {
  task.project->chosen = task.project->chosen - task.held;
  task.chosen_of_plan = 0;
}

void Preemption::Choose(Task& task) {
  Mark(task);
  chosen_.push_back(&task);
  for (size_t i = 0; i < task.workers.size(); ++i) {
    Worker& worker = *task.workers[i];
    if (worker.chosen_in_plan != plan_) worker.chosen_devices = 0;
    worker.chosen_in_plan = plan_;
    worker.chosen_devices += task.workers.size() == 1
                                 ? task.held.devices()
                                 : static_cast<int64_t>(task.placements[i].devices.size());
  }
}

void Preemption::UnchooseLast() {
  Unmark(*chosen_.back());
  chosen_.pop_back();
}

bool Preemption::MaySpare(const Worker& worker, int64_t devices) const {
  const int64_t chosen = worker.chosen_in_plan == plan_ ? worker.chosen_devices : 0;
  return worker.open_devices + worker.vacated_devices + chosen >= devices;
}

int32_t Preemption::SpareFor(const Demand& demand, int32_t devices, const Worker& worker,
                             int32_t most) const {
  int64_t cpu_millis = worker.spare_cpu_millis;
  int64_t memory_bytes = worker.spare_memory_bytes;
  for (const Task* task : worker.attempts) {
    if (task->chosen_of_plan != plan_) continue;
    for (const Placement& placement : task->placements) {
      if (placement.worker != worker.id) continue;
      cpu_millis += placement.cpu_millis;
      memory_bytes += placement.memory_bytes;
    }
  }
  if (cpu_millis < 0 || memory_bytes < 0) return 0;
  int64_t count = most;
  if (demand.cpu_millis > 0) count = std::min(count, cpu_millis / demand.cpu_millis);
  if (demand.memory_bytes > 0) count = std::min(count, memory_bytes / demand.memory_bytes);
  if (devices > 0) {
    const int64_t slots =
        std::count_if(worker.slots.begin(), worker.slots.end(), [&](const Slot& slot) {
          const bool chosen =
              slot.next == nullptr && slot.holders == 1 && slot.holder->chosen_of_plan == plan_;
          return (slot.spare() || chosen) && slot.memory_bytes >= demand.gpu_memory_bytes;
        });
    count = std::min(count, slots / devices);
  }
  return static_cast<int32_t>(count);
}

void Preemption::Spare(const Demand& demand, const Worker& worker, int32_t devices,
                       int32_t processes, size_t before) {
  for (size_t i = chosen_.size(); i-- > before;) {
    Task* task = chosen_[i];
    Unmark(*task);
    if (SpareFor(demand, devices, worker, processes) >= processes) {
      chosen_.erase(chosen_.begin() + static_cast<ptrdiff_t>(i));
    } else {
      Mark(*task);
    }
  }
}

Worker* Preemption::ClearOne(const Task& beneficiary, const Demand& demand, int32_t devices,
                             int32_t processes, const std::vector<Seat>& taken) {
  const size_t before = chosen_.size();
  Worker* found = nullptr;
  while (first_victim_ < victims_.size() && victims_[first_victim_]->vacating) ++first_victim_;
  for (size_t i = first_victim_; i < victims_.size() && visits_ < kMaxVisitsOfRound; ++i) {
    Task* victim = victims_[i];
    ++visits_;
    if (victim->chosen_of_plan == plan_ || !Eligible(beneficiary, *victim)) continue;
    visits_ += kVictimVisit;
    Choose(*victim);
    for (Worker* worker : victim->workers) {
      if (!worker->usable() || IsTaken(*worker, taken) || !HasLabel(*worker, demand.pool)) continue;
      if (!MaySpare(*worker, int64_t{devices} * processes)) continue;
      if (SpareFor(demand, devices, *worker, processes) >= processes) {
        found = worker;
        break;
      }
    }
    if (found != nullptr) break;
  }
  // What was chosen elsewhere is not needed, nor all that was chosen there.
  if (found != nullptr) {
    size_t kept = before;
    for (size_t i = before; i < chosen_.size(); ++i) {
      Task* task = chosen_[i];
      if (std::count(task->workers.begin(), task->workers.end(), found) > 0) {
        chosen_[kept++] = task;
      } else {
        Unmark(*task);
      }
    }
    chosen_.resize(kept);
    Spare(demand, *found, devices, processes, before);
  } else {
    while (chosen_.size() > before) UnchooseLast();
  }
  return found;
}

int64_t Preemption::Clear(const Task& task, Worker& worker, int32_t devices, int32_t processes) {
  const Demand& demand = task.spec.demand;
  const auto fits = [&] { return SpareFor(demand, devices, worker, processes) >= processes; };
  const size_t before = chosen_.size();
  std::vector<Task*> victims;
  std::vector<Task*> movable;
  if (!fits()) {
    for (Task* other : worker.attempts) {
      if (other->chosen_of_plan == plan_) continue;
      if (Eligible(task, *other)) {
        victims.push_back(other);
      } else if (IsMovable(*other, task)) {
        movable.push_back(other);
      }
    }
    // Most workers cannot be cleared: find out without trying.
    int64_t reachable = SpareFor(demand, devices, worker, processes) * int64_t{devices};
    for (const Task* other : victims) reachable += DevicesOn(*other, worker);
    for (const Task* other : movable) reachable += DevicesOn(*other, worker);
    if (devices > 0 && reachable + devices <= int64_t{devices} * processes) return -1;
    std::sort(victims.begin(), victims.end(), [](const Task* a, const Task* b) {
      return std::tie(b->level, b->started_ms, a->spec.task) <
             std::tie(a->level, a->started_ms, b->spec.task);
    });
    std::sort(movable.begin(), movable.end(), [](const Task* a, const Task* b) {
      return std::make_tuple(ServiceRate(a->held), a->spec.task) <
             std::make_tuple(ServiceRate(b->held), b->spec.task);
    });
    victims.insert(victims.end(), movable.begin(), movable.end());
    // Whole processes are counted, so up to one process' devices may be spare besides.
    int64_t missing = int64_t{devices} * (processes - 1) -
                      SpareFor(demand, devices, worker, processes) * int64_t{devices};
    for (Task* other : victims) {
      if (missing <= 0 && fits()) break;
      missing -= DevicesOn(*other, worker);
      Choose(*other);
    }
  }
  if (!fits()) {
    while (chosen_.size() > before) UnchooseLast();
    return -1;
  }
  Spare(demand, worker, devices, processes, before);
  int64_t moved = 0;
  for (size_t i = before; i < chosen_.size(); ++i) {
    if (chosen_[i]->victim_of_round != round_) moved += ServiceRate(chosen_[i]->held);
  }
  return moved;
}

std::vector<Seat> Preemption::ClearByMoving(const Task& task, int32_t devices) {
  const Demand& demand = task.spec.demand;
  struct Option {
    int64_t moved;
    int64_t chosen;
    Worker* worker;
    int32_t processes;
  };
  const auto try_at = [&](Worker& worker, int32_t processes, std::vector<Option>& options) {
    const size_t before = chosen_.size();
    const int64_t moved = Clear(task, worker, devices, processes);
    if (moved >= 0) {
      options.push_back({moved, static_cast<int64_t>(chosen_.size() - before), &worker, processes});
    }
    while (chosen_.size() > before) UnchooseLast();
  };
  const auto cheapest = [](const Option& a, const Option& b) {
    return std::tie(a.moved, a.chosen, a.worker->id) < std::tie(b.moved, b.chosen, b.worker->id);
  };
  std::vector<Seat> seats;
  int32_t missing = demand.min_workers;
  int64_t moved = 0;
  const int64_t most_moved = 2 * ServiceRate(task.shape->amounts);
  std::vector<std::pair<Worker*, int32_t>> candidates;
  int32_t largest = 0;
  for (const auto& [id, worker] : workers_.all()) {
    if (!worker->usable() || !HasLabel(*worker, demand.pool)) continue;
    const int32_t holds = IdleFor(demand, devices, *worker, missing);
    if (holds > 0) candidates.push_back({worker.get(), holds});
    largest = std::max(largest, holds);
  }
  if (missing > largest) {
    std::vector<Option> whole;
    for (const auto& [worker, holds] : candidates) try_at(*worker, holds, whole);
    std::sort(whole.begin(), whole.end(), cheapest);
    for (const Option& option : whole) {
      if (option.processes > missing) continue;
      const int64_t more = Clear(task, *option.worker, devices, option.processes);
      if (more < 0) continue;
      moved += more;
      seats.push_back({option.worker, option.processes, devices});
      missing -= option.processes;
      if (missing < largest) break;
    }
  }
  if (missing > 0) {
    std::vector<Option> rest;
    for (const auto& [worker, holds] : candidates) {
      if (holds >= missing && !IsTaken(*worker, seats)) try_at(*worker, missing, rest);
    }
    const auto best = std::min_element(rest.begin(), rest.end(), cheapest);
    if (best == rest.end()) return {};
    moved += Clear(task, *best->worker, devices, missing);
    seats.push_back({best->worker, missing, devices});
  }
  if (moved > most_moved) return {};
  return seats;
}

Plan Preemption::PlanFor(Task& task) {
  const Demand& demand = task.spec.demand;
  const int32_t devices = LeastDevices(demand);
  ++plan_;
  chosen_.clear();
  std::vector<Seat> seats;
  if (Worker* worker = ClearOne(task, demand, devices, demand.min_workers, {})) {
    seats = {{worker, demand.min_workers, devices}};
  } else if (visits_ < kMaxVisitsOfRound) {
    visits_ += kWorkerVisit * static_cast<int64_t>(workers_.all().size());
    seats = ClearByMoving(task, devices);
  }
  Plan plan;
  const auto fail = [&] {
    for (const Move& move : plan.moves) {
      workers_.Unreserve(*move.task, move.placements, workers_.WorkersOf(move.placements));
    }
    if (!plan.placements.empty()) {
      workers_.Unreserve(task, plan.placements, workers_.WorkersOf(plan.placements));
    }
    while (!chosen_.empty()) UnchooseLast();
    ++failures_;
    return Plan();
  };
  if (seats.empty()) return fail();
  plan.placements = workers_.Reserve(task, seats, plan_);
  const std::vector<Task*> on_place = chosen_;
  for (Task* moved : on_place) {
    if (moved->victim_of_round == round_) continue;
    const Demand& other = moved->spec.demand;
    const auto its_devices =
        static_cast<int32_t>(moved->held.devices() / std::max(other.min_workers, 1));
    Worker* worker = workers_.FindWorker(other, its_devices, other.min_workers, seats, {});
    if (worker == nullptr) worker = ClearOne(task, other, its_devices, other.min_workers, seats);
    if (worker == nullptr) return fail();
    const Seat seat{worker, other.min_workers, its_devices};
    plan.moves.push_back({moved, workers_.Reserve(*moved, {seat}, plan_)});
  }
  Amounts own;
  for (Task* other : chosen_) {
    if (other->victim_of_round != round_) continue;
    plan.victims.push_back(other);
    if (other->project == task.project) own = own + other->held;
  }
  if (!CapAllows(*task.project, task.shape->amounts - own)) return fail();
  plan.beneficiary = &task;
  return plan;
}

}  // namespace beamline::scheduler
