#include "scheduler/core.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "scheduler/express.h"
#include "scheduler/retry.h"

namespace beamline::scheduler {
namespace {

Options Sane(Options options) {
  options.lease_ms = std::max<int64_t>(options.lease_ms, 1);
  options.first_back_off_ms = std::max<int64_t>(options.first_back_off_ms, 1);
  options.max_back_off_ms = std::max(options.max_back_off_ms, options.first_back_off_ms);
  options.max_attempts = std::max(options.max_attempts, 1);
  options.max_losses = std::max(options.max_losses, 1);
  options.round_ms = std::max<int64_t>(options.round_ms, 1);
  options.grace_ms = std::max<int64_t>(options.grace_ms, 1);
  options.min_run_ms = std::max<int64_t>(options.min_run_ms, 0);
  options.express_levels = std::clamp(options.express_levels, 0, 2);
  return options;
}

}  // namespace

Scheduler::Core::Core(const Options& options)
    : options_(Sane(options)),
      queue_(options_),
      workers_(options_.gangs),
      preemption_(options_, queue_, workers_) {}

std::vector<Action> Scheduler::Core::Step(const Event& event, int64_t now_ms) {
  now_ms_ = std::max(now_ms_, now_ms);
  became_due_.clear();
  actions_.reserve(4);
  std::visit([this](const auto& e) { On(e); }, event);
  ExpireLeases();
  ExpireGraces();
  CrossLevels();
  WakeTasks();
  if (!(queue_.total() == workers_.total())) queue_.SetTotal(workers_.total());
  StartWhatIsReady();
  KeepBuckets();
  AssignWhatFits();
  PreemptInRounds();
  ParkWhatCannotRun();
  ArmTimer();
  return std::exchange(actions_, {});
}

Task* Scheduler::Core::FindLive(const TaskId& id, int32_t attempt) {
  Task* task = tasks_.Find(id);
  if (task == nullptr) {
    Ignore(IgnoredCode::kUnknownTask, id, attempt, WorkerId());
    return nullptr;
  }
  if (!task->live() || task->spec.last_attempt != attempt) {
    Ignore(IgnoredCode::kStaleAttempt, id, attempt, WorkerId());
    return nullptr;
  }
  Prefetch(*task->project);
  for (const Worker* worker : task->workers) Prefetch(*worker);
  return task;
}

Task& Scheduler::Core::Add(const TaskQueued& event) {
  Task& task = tasks_.Add(event.task);
  task.spec = event;
  task.name = PrefixOf(event.task);
  if (task.spec.max_attempts <= 0) task.spec.max_attempts = options_.max_attempts;
  if (task.spec.queued_at_ms == 0) task.spec.queued_at_ms = now_ms_;
  task.attained = event.attained;
  task.level = LevelOf(options_, task.attained);
  task.entered_ms = task.level == 0 ? task.spec.queued_at_ms : now_ms_;
  task.rank = RankOf(options_, task);
  queue_.Enroll(task);
  return task;
}

void Scheduler::Core::Wait(Task& task) {
  task.state = TaskState::kPending;
  if (task.spec.not_before_ms > now_ms_) {
    back_off_.Push(task);
    return;
  }
  task.guarded = false;
  task.waits_since_ms = now_ms_;
  if (const int32_t level = LevelOf(options_, task.attained); level != task.level) {
    task.level = level;
    task.entered_ms = level == 0 ? task.spec.queued_at_ms : now_ms_;
  }
  task.rank = RankOf(options_, task);
  queue_.Push(task);
  became_due_.push_back(&task);
}

void Scheduler::Core::Charge(Task& task) {
  task.charged = true;
  // A place that is kept is not used yet.
  if (task.level < options_.express_levels && !task.holds) {
    ChangeExpress(*task.project, task.held, queue_.total(), now_ms_);
  }
  queue_.Charge(task);
}

void Scheduler::Core::Discount(Task& task) {
  task.charged = false;
  if (task.level < options_.express_levels && !task.holds) {
    ChangeExpress(*task.project, Amounts() - task.held, queue_.total(), now_ms_);
  }
  queue_.Discount(task);
}

void Scheduler::Core::Start(Task& task) {
  task.state = TaskState::kAssigned;
  task.started_ms = now_ms_;
  task.guarded_until_ms = 0;
  if (task.guarded) {
    task.guarded_until_ms = now_ms_ + options_.guard_quantum_ms;
    guards_.insert(&task);
  }
  ++task.spec.last_attempt;
  workers_.Book(task);
  int64_t lease_until_ms = task.workers.front()->lease_until_ms;
  for (const Worker* worker : task.workers) {
    lease_until_ms = std::min(lease_until_ms, worker->lease_until_ms);
  }
  actions_.push_back(
      Assign{task.spec.task, task.spec.last_attempt, task.placements, lease_until_ms});
}

void Scheduler::Core::StartAt(Task& task, const std::vector<Seat>& seats) {
  queue_.Remove(task);
  task.held = Amounts();
  for (const Seat& seat : seats) {
    task.placements.push_back(WorkerTable::PlacementAt(task.spec.demand, seat));
    task.workers.push_back(seat.worker);
    task.held = task.held + PlacementAmounts(task.placements.back(), task.spec.demand);
  }
  Charge(task);
  Start(task);
}

void Scheduler::Core::Free(Task& task, bool keep) {
  for (const Worker* worker : task.workers) {
    __builtin_prefetch(worker->attempts.data());
    if (!worker->slots.empty()) Prefetch(worker->slots.front());
  }
  crossings_.End(task, now_ms_, keep);
  DropReservation(task);
  if (task.charged) Discount(task);
  if (task.vacating) {
    queue_.ChargeLeaving(task, -1);
    graces_.Remove(task);
  }
  guards_.erase(&task);
  workers_.Release(task);
  task.vacating = false;
  task.placements.clear();
  for (Worker* worker : std::exchange(task.workers, {})) Opened(*worker);
}

void Scheduler::Core::Opened(Worker& worker) {
  if (!worker.usable()) return;
  queue_.OpenWhere([&](const Demand& demand) { return workers_.MayHelp(demand, worker); });
  maybe_ready_.insert(worker.reserved.begin(), worker.reserved.end());
}

void Scheduler::Core::Retry(Task& task, RequeueCode code) {
  const std::optional<EndCode> end = CountRetry(options_, code, now_ms_, task.spec);
  if (end.has_value()) {
    End(task, EndState::kFailed, *end);
    return;
  }
  actions_.push_back(Requeue{task.spec.task, task.spec.last_attempt, code, task.spec.failures,
                             task.spec.losses, task.spec.not_before_ms, task.attained});
  Wait(task);
}

void Scheduler::Core::LoseAttempts(Worker& worker, StopCode code) {
  DropReservations(worker);
  std::vector<Task*> attempts = worker.attempts;
  std::sort(attempts.begin(), attempts.end(), ByTaskId());
  for (Task* attempt : attempts) {
    Task& task = *attempt;
    const bool cancelling = task.state == TaskState::kStopping;
    for (const Placement& placement : task.placements) {
      actions_.push_back(
          StopAttempt{task.spec.task, task.spec.last_attempt, placement.worker, code});
    }
    Free(task, /*keep=*/false);
    if (cancelling) {
      End(task, EndState::kCancelled, EndCode::kCancelled);
    } else {
      Retry(task, RequeueCode::kLostWorker);
    }
  }
}

void Scheduler::Core::End(Task& task, EndState state, EndCode code) {
  actions_.push_back(EndTask{task.spec.task, task.spec.last_attempt, state, code, task.attained});
  queue_.Discharge(task);
  maybe_ready_.erase(&task);
  tasks_.Erase(task);
}

void Scheduler::Core::Ignore(IgnoredCode code, TaskId task, int32_t attempt, WorkerId worker,
                             std::string text) {
  actions_.push_back(Ignored{code, std::move(task), attempt, std::move(worker), std::move(text)});
}

void Scheduler::Core::ExpireLeases() {
  while (Worker* worker = leases_.Expired(now_ms_)) {
    leases_.Drop(*worker);
    workers_.Update(*worker, [](Worker& w) { w.connected = false; });
    LoseAttempts(*worker, StopCode::kLeaseLost);
    if (!worker->registered) workers_.Erase(worker->id);
  }
}

void Scheduler::Core::ExpireGraces() {
  while (Task* task = graces_.Over(now_ms_)) {
    for (const Placement& placement : task->placements) {
      actions_.push_back(StopAttempt{task->spec.task, task->spec.last_attempt, placement.worker,
                                     StopCode::kGraceOver});
    }
    if (task->state == TaskState::kStopping) {
      Free(*task, /*keep=*/false);
      End(*task, EndState::kCancelled, EndCode::kCancelled);
    } else {
      HasLeft(*task, /*keep=*/false);
    }
  }
}

void Scheduler::Core::CrossLevels() {
  while (Task* task = crossings_.Due(now_ms_)) {
    const bool charged = task->charged;
    if (charged) Discount(*task);
    crossings_.Advance(options_, *task);
    if (charged) Charge(*task);
  }
}

void Scheduler::Core::WakeTasks() {
  while (Task* task = back_off_.Due(now_ms_)) {
    back_off_.Remove(*task);
    Wait(*task);
  }
}

void Scheduler::Core::AssignWhatFits() {
  while (Task* task = queue_.First()) {
    Prefetch(*task);
    const std::vector<Seat> seats = workers_.FindSeats(task->spec.demand, task->spec.data);
    if (seats.empty()) {
      queue_.Close(*task->shape);
    } else {
      StartAt(*task, seats);
    }
  }
}

void Scheduler::Core::EndGuards() {
  std::vector<Task*> over;
  for (Task* task : guards_) {
    if (task->charged && now_ms_ >= task->guarded_until_ms) over.push_back(task);
  }
  for (Task* task : over) {
    Discount(*task);
    task->guarded = false;
    guards_.erase(task);
    Charge(*task);
  }
}

// Where nobody is preempted, the order matters only when something is assigned, so that the buckets
// need no timer: they are brought up to date by what happens, at most once a round.
void Scheduler::Core::KeepBuckets() {
  if (options_.preemption || options_.policy == Policy::kStrictFifo || now_ms_ < buckets_ms_)
    return;
  queue_.projects().Sweep();
  RefillBuckets(queue_, options_, now_ms_);
  buckets_ms_ = (now_ms_ / options_.round_ms + 1) * options_.round_ms;
}

void Scheduler::Core::PreemptInRounds() {
  if (!options_.preemption || options_.policy == Policy::kStrictFifo) return;
  if (queue_.size() == 0 && holds_.empty()) {
    round_ms_ = 0;
    return;
  }
  if (round_ms_ != 0 && now_ms_ >= round_ms_) {
    EndGuards();
    const std::vector<KeptPlace> given_up = GiveUpPlaces();
    preemption_.Begin(now_ms_);
    KeepPlaces(given_up);
    preemption_.Serve([this](const Plan& plan) { Commit(plan); });
    KeepMorePlaces();
    StartWhatIsReady();
    AssignWhatFits();
    round_ms_ = 0;
  }
  if (round_ms_ == 0) round_ms_ = (now_ms_ / options_.round_ms + 1) * options_.round_ms;
}

void Scheduler::Core::ParkWhatCannotRun() {
  for (const Task* task : became_due_) {
    if (task->shape == nullptr) continue;
    Shape& shape = *task->shape;
    if (shape.checked_at != workers_.version()) {
      shape.feasible = workers_.Feasible(shape.demand);
      shape.checked_at = workers_.version();
    }
    if (!shape.feasible) {
      actions_.push_back(Park{task->spec.task, workers_.Explain(shape.demand)});
    }
  }
}

void Scheduler::Core::ArmTimer() {
  int64_t next_ms = 0;
  for (const int64_t due_ms : {leases_.NextMs(), back_off_.NextMs(), graces_.NextMs(), round_ms_}) {
    if (due_ms != 0 && (next_ms == 0 || due_ms < next_ms)) next_ms = due_ms;
  }
  if (next_ms == 0) return;
  const bool armed = timer_ms_ > now_ms_;
  if (armed && timer_ms_ <= next_ms) return;
  timer_ms_ = next_ms;
  actions_.push_back(SetTimer{next_ms});
}

}  // namespace beamline::scheduler
