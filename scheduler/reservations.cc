// From Preempt to the start of the beneficiary: two phases with a time of grace between them.
#include <algorithm>
#include <utility>

#include "scheduler/core.h"

namespace beamline::scheduler {

void Scheduler::Core::AskToLeave(Task& task, PreemptCode code, const Task& beneficiary) {
  Discount(task);
  workers_.Vacate(task);
  queue_.ChargeLeaving(task, 1);
  task.state = TaskState::kPreempting;
  task.deadline_ms = now_ms_ + options_.grace_ms;
  task.beneficiary = beneficiary.spec.task;
  task.resumes_first = false;
  graces_.Push(task);
  std::vector<WorkerId> workers;
  for (const Placement& placement : task.placements) workers.push_back(placement.worker);
  actions_.push_back(Preempt{task.spec.task, task.spec.last_attempt, std::move(workers), code,
                             beneficiary.spec.task, task.deadline_ms});
}

void Scheduler::Core::Commit(const Plan& plan) {
  Task& task = *plan.beneficiary;
  const bool express =
      queue_.ClassOf(task) == Class::kExpressFirst || queue_.ClassOf(task) == Class::kExpressSecond;
  task.victims.clear();
  for (Task* victim : plan.victims) {
    PreemptCode code = express ? PreemptCode::kExpress : PreemptCode::kFairShare;
    if (victim->project == task.project) code = PreemptCode::kLevel;
    AskToLeave(*victim, code, task);
    task.victims.push_back(victim->spec.task);
  }
  for (const Move& move : plan.moves) {
    AskToLeave(*move.task, PreemptCode::kDisplaced, task);
    move.task->next_placements = move.placements;
    move.task->next_workers = workers_.WorkersOf(move.placements);
    Charge(*move.task);
  }
  BecomeReserved(task, plan.placements);
}

void Scheduler::Core::BecomeReserved(Task& task, std::vector<Placement> placements) {
  queue_.Remove(task);
  task.state = TaskState::kReserved;
  ++reserved_;
  task.placements = std::move(placements);
  task.workers = workers_.WorkersOf(task.placements);
  task.held = Amounts();
  for (const Placement& placement : task.placements) {
    task.held = task.held + PlacementAmounts(placement, task.spec.demand);
  }
  Charge(task);
  maybe_ready_.insert(&task);
}

void Scheduler::Core::HasLeft(Task& task, bool keep) {
  const bool goes_on = !task.next_placements.empty();
  std::vector<Placement> placements = std::move(task.next_placements);
  std::vector<Worker*> workers = std::move(task.next_workers);
  task.next_placements.clear();
  task.next_workers.clear();
  const bool charged = std::exchange(task.charged, false);
  Free(task, keep);
  task.charged = charged;
  task.spec.not_before_ms = now_ms_;
  actions_.push_back(Requeue{task.spec.task, task.spec.last_attempt, RequeueCode::kPreempted,
                             task.spec.failures, task.spec.losses, now_ms_, task.attained});
  task.waits_since_ms = now_ms_;
  if (goes_on) {
    task.state = TaskState::kReserved;
    ++reserved_;
    task.placements = std::move(placements);
    task.workers = std::move(workers);
    maybe_ready_.insert(&task);
    return;
  }
  const bool resumes = std::exchange(task.resumes_first, false);
  Wait(task);
  if (!resumes || task.shape == nullptr) return;
  const std::vector<Seat> seats = workers_.FindSeats(task.spec.demand, task.spec.data);
  if (!seats.empty() && CapAllows(*task.project, task.shape->amounts)) StartAt(task, seats);
}

void Scheduler::Core::DropReservation(Task& task) {
  if (task.state == TaskState::kReserved) {
    workers_.Unreserve(task, task.placements, task.workers);
    const std::vector<Worker*> workers = std::move(task.workers);
    task.placements.clear();
    task.workers.clear();
    Discount(task);
    --reserved_;
    maybe_ready_.erase(&task);
    holds_.erase(&task);
    task.holds = false;
    task.state = TaskState::kPending;
    for (Worker* worker : workers) Opened(*worker);
  } else if (!task.next_placements.empty()) {
    workers_.Unreserve(task, task.next_placements, task.next_workers);
    const std::vector<Worker*> workers = std::move(task.next_workers);
    task.next_placements.clear();
    task.next_workers.clear();
    Discount(task);
    for (Worker* worker : workers) Opened(*worker);
  }
}

void Scheduler::Core::DropReservations(Worker& worker) {
  while (!worker.reserved.empty()) {
    Task& task = **worker.reserved.begin();
    const bool waits = task.state == TaskState::kReserved;
    const bool held = task.holds;
    DropReservation(task);
    if (held) {
      // It waits as long as before.
      queue_.Push(task);
      became_due_.push_back(&task);
    } else if (waits) {
      Wait(task);
    }
  }
}

void Scheduler::Core::ReleaseVictims(Task& task) {
  for (const TaskId& id : std::exchange(task.victims, {})) {
    Task* victim = tasks_.Find(id);
    if (victim == nullptr || victim->beneficiary != task.spec.task) continue;
    if (victim->state == TaskState::kPreempting) {
      victim->resumes_first = true;
    } else if (victim->state == TaskState::kPending && victim->shape != nullptr) {
      const std::vector<Seat> seats = workers_.FindSeats(victim->spec.demand, victim->spec.data);
      if (!seats.empty() && CapAllows(*victim->project, victim->shape->amounts)) {
        StartAt(*victim, seats);
      }
    }
  }
}

void Scheduler::Core::StartWhatIsReady() {
  for (Task* task : std::exchange(maybe_ready_, {})) {
    if (task->state != TaskState::kReserved) continue;
    const bool ready =
        task->holds ? IsReadyWhereKept(*task) : WorkerTable::Ready(task->placements, task->workers);
    if (!ready) continue;
    workers_.Unreserve(*task, task->placements, task->workers);
    --reserved_;
    task->victims.clear();
    if (task->holds) {
      Discount(*task);
      task->holds = false;
      holds_.erase(task);
      Charge(*task);
    }
    Start(*task);
  }
}

}  // namespace beamline::scheduler
