#include "server/run_actions.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "server/names.h"
#include "server/planning.h"
#include "server/quota.h"
#include "server/run_progress.h"
#include "server/states.h"
#include "store/identity.h"
#include "store/runs.h"
#include "store/time.h"

namespace beamline::server {
namespace {

absl::StatusOr<store::StoredTask> LoadTask(Transaction& transaction, const scheduler::TaskId& id) {
  ASSIGN_OR_RETURN(const TaskName name, ParseTaskName("task", id.value));
  return store::GetTask(transaction.store(), name.run, name.task);
}

absl::Status EndAttempt(Transaction& transaction, const store::StoredTask& task, int32_t number) {
  if (number == 0) return absl::OkStatus();
  auto attempt = store::GetAttempt(transaction.store(), task.run, task.id(), number);
  // One that could not be built was never stored.
  if (absl::IsNotFound(attempt.status())) return absl::OkStatus();
  RETURN_IF_ERROR(attempt.status());
  attempt->live = false;
  transaction.Wake(absl::StrCat("workers/", attempt->worker));
  return store::UpdateAttempt(transaction.store(), *attempt);
}

absl::Status Apply(Transaction& transaction, const scheduler::Assign& assign) {
  ASSIGN_OR_RETURN(store::StoredTask task, LoadTask(transaction, assign.task));
  ASSIGN_OR_RETURN(store::StoredRun run, store::GetRun(transaction.store(), task.run));
  const scheduler::Placement& placement = assign.placements.front();
  task.message.set_attempt(assign.attempt);
  absl::StatusOr<v1::Attempt> attempt = BuildAttempt(transaction.store(), run, task, assign);
  if (!attempt.ok()) {
    v1::Failure& failure = *task.message.mutable_failure();
    failure.set_kind(v1::FAILURE_KIND_USER);
    failure.set_message(absl::StrCat("cannot start: ", attempt.status().message()));
    transaction.Schedule(
        scheduler::AttemptFinished{.task = assign.task,
                                   .attempt = assign.attempt,
                                   .outcome = scheduler::Outcome::kFailedPermanent});
    return store::UpdateTask(transaction.store(), task);
  }
  task.message.set_state(v1::TASK_STATE_RUNNING);
  task.message.set_worker(placement.worker.value);
  task.not_before = absl::InfinitePast();
  if (!task.message.has_start_time()) {
    *task.message.mutable_start_time() = store::ToProto(transaction.now());
  }
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  store::StoredAttempt stored;
  stored.run = task.run;
  stored.worker = std::string(store::IdOf(placement.worker.value));
  stored.cpu_millis = placement.cpu_millis;
  stored.memory_bytes = placement.memory_bytes;
  stored.start_time = transaction.now();
  stored.message = *std::move(attempt);
  RETURN_IF_ERROR(store::InsertAttempt(transaction.store(), stored));
  if (run.message.state() == v1::RUN_STATE_QUEUED) {
    run.message.set_state(v1::RUN_STATE_RUNNING);
    *run.message.mutable_start_time() = store::ToProto(transaction.now());
    RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
    v1::Event event;
    event.mutable_run_state()->set_state(v1::RUN_STATE_RUNNING);
    RETURN_IF_ERROR(transaction.Append(task.run, std::move(event)));
  }
  transaction.Wake(placement.worker.value);
  return transaction.Append(task.run, TaskEvent(task, assign.attempt, ""));
}

absl::Status Apply(Transaction& transaction, const scheduler::StopAttempt& stop) {
  transaction.Wake(stop.worker.value);
  if (stop.code != scheduler::StopCode::kCancelled) return absl::OkStatus();
  ASSIGN_OR_RETURN(store::StoredTask task, LoadTask(transaction, stop.task));
  // Said once more after a restart; the run may go on already.
  if (task.stopping == store::Stopping::kPaused || task.stopping == store::Stopping::kCancelled) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(transaction.store(), task.run));
  task.stopping = run.message.state() == v1::RUN_STATE_PAUSED ? store::Stopping::kPaused
                                                              : store::Stopping::kCancelled;
  return store::UpdateTask(transaction.store(), task);
}

// Who gets the place is nobody's business but the operators': it may be another project.
const char* Reason(scheduler::PreemptCode code) {
  switch (code) {
    case scheduler::PreemptCode::kFairShare:
      return "makes room at a checkpoint: its project holds more than its share";
    case scheduler::PreemptCode::kLevel:
      return "makes room at a checkpoint for a task of its project that has run for less time";
    case scheduler::PreemptCode::kExpress:
      return "makes room at a checkpoint for a short task";
    case scheduler::PreemptCode::kDisplaced:
      return "moves at a checkpoint, so that a task that needs a whole worker can start";
  }
  return "";
}

absl::Status Apply(Transaction& transaction, const scheduler::Preempt& preempt) {
  ASSIGN_OR_RETURN(store::StoredTask task, LoadTask(transaction, preempt.task));
  task.stopping = store::Stopping::kMakesRoom;
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  for (const scheduler::WorkerId& worker : preempt.workers) transaction.Wake(worker.value);
  return transaction.Append(task.run, TaskEvent(task, preempt.attempt, Reason(preempt.code)));
}

absl::Status Apply(Transaction& transaction, const scheduler::Requeue& requeue) {
  ASSIGN_OR_RETURN(store::StoredTask task, LoadTask(transaction, requeue.task));
  RETURN_IF_ERROR(EndAttempt(transaction, task, requeue.attempt));
  task.message.set_state(v1::TASK_STATE_QUEUED);
  task.stopping = store::Stopping::kNo;
  task.failures = requeue.failures;
  task.losses = requeue.losses;
  task.attained = requeue.attained;
  const int64_t wait_ms = requeue.not_before_ms - transaction.now_ms();
  task.not_before =
      wait_ms > 0 ? transaction.now() + absl::Milliseconds(wait_ms) : absl::InfinitePast();
  std::string reason;
  switch (requeue.code) {
    case scheduler::RequeueCode::kFailure:
      reason = absl::StrCat("attempt ", requeue.attempt, " failed and is tried again");
      break;
    case scheduler::RequeueCode::kLostWorker:
      reason = absl::StrCat("attempt ", requeue.attempt, " was lost with its worker");
      task.message.mutable_failure()->set_kind(v1::FAILURE_KIND_LOST_WORKER);
      task.message.mutable_failure()->set_message(
          absl::StrCat(task.message.worker(), " fell silent or started anew"));
      break;
    case scheduler::RequeueCode::kReleased:
      reason = absl::StrCat("attempt ", requeue.attempt, " was given back by its worker");
      task.message.clear_failure();
      break;
    case scheduler::RequeueCode::kPreempted:
      reason =
          absl::StrCat("attempt ", requeue.attempt, " made room and goes on when it is its turn");
      task.message.clear_failure();
      break;
  }
  v1::Event event = TaskEvent(task, requeue.attempt, reason);
  task.message.clear_failure();
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  return transaction.Append(task.run, std::move(event));
}

absl::Status Apply(Transaction& transaction, const scheduler::EndTask& end) {
  ASSIGN_OR_RETURN(store::StoredTask task, LoadTask(transaction, end.task));
  RETURN_IF_ERROR(EndAttempt(transaction, task, end.attempt));
  const store::Stopping why = std::exchange(task.stopping, store::Stopping::kNo);
  if (end.state == scheduler::EndState::kCancelled && why != store::Stopping::kCancelled) {
    ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(transaction.store(), task.run));
    const bool paused =
        why == store::Stopping::kPaused || run.message.state() == v1::RUN_STATE_PAUSED;
    if (paused && !run.message.has_failure()) {
      task.attained = end.attained;
      task.message.clear_failure();
      // The run may have been resumed meanwhile.
      return QueueTask(transaction, run, task);
    }
  }
  *task.message.mutable_end_time() = store::ToProto(transaction.now());
  v1::Failure& failure = *task.message.mutable_failure();
  switch (end.state) {
    case scheduler::EndState::kSucceeded:
      task.message.set_state(v1::TASK_STATE_SUCCEEDED);
      break;
    case scheduler::EndState::kCancelled:
      task.message.set_state(v1::TASK_STATE_CANCELLED);
      break;
    case scheduler::EndState::kFailed:
      task.message.set_state(v1::TASK_STATE_FAILED);
      break;
  }
  if (end.code == scheduler::EndCode::kAttemptsUsedUp) {
    failure.set_message(
        absl::StrCat(failure.message(), " (given up after ", end.attempt, " attempts)"));
  } else if (end.code == scheduler::EndCode::kLostTooOften) {
    failure.set_kind(v1::FAILURE_KIND_LOST_WORKER);
    failure.set_message(absl::StrCat("its workers were lost too often, the last one in attempt ",
                                     end.attempt, ": it may need more memory than it asks for"));
  }
  if (end.state != scheduler::EndState::kFailed) task.message.clear_failure();
  if (end.state != scheduler::EndState::kSucceeded) task.message.clear_result();
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  RETURN_IF_ERROR(transaction.Append(task.run, TaskEvent(task, end.attempt, "")));
  return AfterTask(transaction, task);
}

absl::Status Apply(Transaction& transaction, const scheduler::Park& park) {
  ASSIGN_OR_RETURN(const store::StoredTask task, LoadTask(transaction, park.task));
  return transaction.Append(task.run, TaskEvent(task, 0, scheduler::Sentence(park.reason)));
}

// The coordinator has taken it.
absl::Status Apply(Transaction&, const scheduler::SetTimer&) { return absl::OkStatus(); }

absl::Status Apply(Transaction&, const scheduler::Ignored& ignored) {
  if (ignored.code == scheduler::IgnoredCode::kInvalid) {
    log::Warning("the scheduler refused an event: %s", scheduler::ToString(ignored));
  } else {
    log::Debug("the scheduler ignored an event: %s", scheduler::ToString(ignored));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyAction(Transaction& transaction, const scheduler::Action& action) {
  return std::visit([&](const auto& what) { return Apply(transaction, what); }, action);
}

absl::Status RestoreScheduler(Transaction& transaction) {
  RETURN_IF_ERROR(RestoreQuotas(transaction));
  ASSIGN_OR_RETURN(const auto attempts, store::ListLiveAttempts(transaction.store(), ""));
  for (const store::StoredAttempt& attempt : attempts) {
    ASSIGN_OR_RETURN(
        const store::StoredTask task,
        store::GetTask(transaction.store(), attempt.run, store::IdOf(attempt.message.task())));
    ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(transaction.store(), attempt.run));
    scheduler::AttemptRestored restored;
    ASSIGN_OR_RETURN(restored.task, QueuedEvent(transaction, run, task));
    scheduler::Placement& placement = restored.placements.emplace_back();
    placement.worker = scheduler::WorkerId(absl::StrCat("workers/", attempt.worker));
    placement.cpu_millis = attempt.cpu_millis;
    placement.memory_bytes = attempt.memory_bytes;
    for (const std::string& device : attempt.message.devices()) {
      if (device != "cpu") placement.devices.emplace_back(device);
    }
    if (attempt.start_time != absl::InfinitePast()) {
      restored.ran_ms =
          std::max<int64_t>(absl::ToInt64Milliseconds(transaction.now() - attempt.start_time), 0);
    }
    restored.cancelling =
        task.stopping == store::Stopping::kCancelled || task.stopping == store::Stopping::kPaused;
    transaction.Schedule(std::move(restored));
  }
  ASSIGN_OR_RETURN(const auto tasks,
                   store::ListTasksInState(transaction.store(), v1::TASK_STATE_QUEUED));
  for (const store::StoredTask& task : tasks) {
    ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(transaction.store(), task.run));
    ASSIGN_OR_RETURN(scheduler::TaskQueued event, QueuedEvent(transaction, run, task));
    transaction.Schedule(std::move(event));
  }
  return absl::OkStatus();
}

}  // namespace beamline::server
