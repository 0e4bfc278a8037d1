#include "server/run_progress.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/expand.h"
#include "pipeline/trial.h"
#include "server/names.h"
#include "server/planning.h"
#include "server/repetition.h"
#include "server/states.h"
#include "server/step_cache.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/time.h"

namespace beamline::server {
namespace {

v1::Event RunEvent(const v1::Run& run) {
  v1::Event event;
  event.mutable_run_state()->set_state(run.state());
  if (run.has_failure()) *event.mutable_run_state()->mutable_failure() = run.failure();
  return event;
}

// Ends a task that the scheduler does not know: one that is BLOCKED, or repeats.
absl::Status EndUnscheduled(Transaction& transaction, store::StoredTask& task,
                            v1::TaskState state) {
  task.message.set_state(state);
  *task.message.mutable_end_time() = store::ToProto(transaction.now());
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  return transaction.Append(task.run, TaskEvent(task, 0, ""));
}

// The run cannot succeed any more: what has not ended stops.
absl::Status StopTasks(Transaction& transaction, std::string_view run) {
  ASSIGN_OR_RETURN(auto tasks, store::ListTasks(transaction.store(), run));
  std::set<std::string> failed;
  for (store::StoredTask& task : tasks) {
    const auto& dependencies = task.message.dependencies();
    const auto culprit = std::find_if(dependencies.begin(), dependencies.end(),
                                      [&](const auto& step) { return failed.contains(step); });
    switch (task.message.state()) {
      case v1::TASK_STATE_FAILED:
        failed.insert(task.message.step());
        break;
      case v1::TASK_STATE_BLOCKED:
        if (culprit == dependencies.end()) {
          RETURN_IF_ERROR(EndUnscheduled(transaction, task, v1::TASK_STATE_CANCELLED));
          break;
        }
        task.message.mutable_failure()->set_kind(v1::FAILURE_KIND_DEPENDENCY);
        task.message.mutable_failure()->set_message(
            absl::StrCat("step \"", *culprit, "\", which this one needs, failed"));
        RETURN_IF_ERROR(EndUnscheduled(transaction, task, v1::TASK_STATE_FAILED));
        failed.insert(task.message.step());
        break;
      case v1::TASK_STATE_PAUSED: {
        RETURN_IF_ERROR(EndUnscheduled(transaction, task, v1::TASK_STATE_CANCELLED));
        if (!IsRepetition(task)) break;
        ASSIGN_OR_RETURN(const store::StoredRun stored, store::GetRun(transaction.store(), run));
        RETURN_IF_ERROR(KeepRepetition(transaction, stored, task));
        break;
      }
      case v1::TASK_STATE_QUEUED:
      case v1::TASK_STATE_RUNNING:
        if (IsRepeating(task)) {
          RETURN_IF_ERROR(EndUnscheduled(transaction, task, v1::TASK_STATE_CANCELLED));
          break;
        }
        // One that was to stop at a checkpoint need not take one any more.
        if (task.stopping == store::Stopping::kPaused) {
          task.stopping = store::Stopping::kCancelled;
          RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
        }
        transaction.Schedule(
            scheduler::TaskCancelled{.task = scheduler::TaskId(task.message.name())});
        break;
      default:
        break;
    }
  }
  return absl::OkStatus();
}

// What follows from the trials and folds of `task`.
absl::Status Follow(Transaction& transaction, const store::StoredRun& run, Repetition state,
                    store::StoredTask& task) {
  switch (state) {
    case Repetition::kGoesOn:
      return absl::OkStatus();
    case Repetition::kEnded:
      return AfterTask(transaction, task);
    case Repetition::kTrainsOnce:
      return QueueTask(transaction, run, task);
  }
  return absl::OkStatus();
}

// The tasks of the steps whose turn has come.
absl::StatusOr<std::vector<store::StoredTask>> Unblocked(const store::View& view,
                                                         std::string_view run) {
  ASSIGN_OR_RETURN(auto tasks, store::ListStepTasks(view, run));
  std::set<std::string> succeeded;
  for (const store::StoredTask& task : tasks) {
    if (task.message.state() == v1::TASK_STATE_SUCCEEDED) succeeded.insert(task.message.step());
  }
  std::erase_if(tasks, [&](const store::StoredTask& task) {
    const auto& needs = task.message.dependencies();
    return task.message.state() != v1::TASK_STATE_BLOCKED ||
           !std::all_of(needs.begin(), needs.end(),
                        [&](const auto& step) { return succeeded.contains(step); });
  });
  return tasks;
}

absl::Status QueueUnblocked(Transaction& transaction, const store::StoredRun& run) {
  const std::string id(store::IdOf(run.message.name()));
  ASSIGN_OR_RETURN(auto tasks, Unblocked(transaction.store(), id));
  // A result that is taken from an earlier run may unblock more. Each step is looked for once.
  std::set<std::string> asked;
  for (bool taken = true; taken;) {
    taken = false;
    for (store::StoredTask& task : tasks) {
      if (!asked.insert(task.id()).second) continue;
      ASSIGN_OR_RETURN(const bool known, TakeEarlierResult(transaction, run, task));
      taken = taken || known;
    }
    if (taken) {
      ASSIGN_OR_RETURN(tasks, Unblocked(transaction.store(), id));
    }
  }
  for (store::StoredTask& task : tasks) {
    const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
    if (step == nullptr || !pipeline::IsRepeated(*step)) {
      RETURN_IF_ERROR(QueueTask(transaction, run, task));
      continue;
    }
    ASSIGN_OR_RETURN(const Repetition state, StartRepetition(transaction, run, task));
    RETURN_IF_ERROR(Follow(transaction, run, state, task));
  }
  return absl::OkStatus();
}

// Ends the run if all its tasks have ended.
absl::Status MaybeFinish(Transaction& transaction, store::StoredRun& run) {
  if (IsTerminal(run.message.state())) return absl::OkStatus();
  const std::string id(store::IdOf(run.message.name()));
  ASSIGN_OR_RETURN(const int64_t live, store::CountLiveTasks(transaction.store(), id));
  if (live > 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto tasks, store::ListTasks(transaction.store(), id));
  // A trial that fails does not fail its step.
  const bool all_succeeded = std::all_of(tasks.begin(), tasks.end(), [](const auto& task) {
    return IsRepetition(task) || task.message.state() == v1::TASK_STATE_SUCCEEDED;
  });
  if (all_succeeded) {
    run.message.set_state(v1::RUN_STATE_SUCCEEDED);
  } else if (run.message.has_failure()) {
    run.message.set_state(v1::RUN_STATE_FAILED);
  } else {
    run.message.set_state(v1::RUN_STATE_CANCELLED);
  }
  *run.message.mutable_end_time() = store::ToProto(transaction.now());
  if (!run.message.has_start_time()) *run.message.mutable_start_time() = run.message.end_time();
  RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
  for (const store::StoredTask& task : tasks) {
    RETURN_IF_ERROR(store::DropBlobReferences(
        transaction.store(), run.project, absl::StrCat("runs/", id, "/checkpoints/", task.id())));
  }
  RETURN_IF_ERROR(store::DropBlobReferences(transaction.store(), run.project,
                                            absl::StrCat("runs/", id, "/trials")));
  return transaction.Append(id, RunEvent(run.message));
}

}  // namespace

absl::Status StartRun(Transaction& transaction, std::string_view project, v1::Run& run) {
  run.set_state(v1::RUN_STATE_QUEUED);
  *run.mutable_create_time() = store::ToProto(transaction.now());
  RETURN_IF_ERROR(store::InsertRun(transaction.store(), project, run));
  const std::string id(store::IdOf(run.name()));
  RETURN_IF_ERROR(transaction.Append(id, RunEvent(run)));
  int64_t position = 0;
  for (const pipeline::PlannedTask& plan : pipeline::Expand(run.definition())) {
    store::StoredTask task;
    task.run = id;
    task.position = position++;
    task.queued_at = transaction.now();
    task.message.set_name(TaskNameOf(run.name(), plan.step));
    task.message.set_step(plan.step);
    task.message.set_state(v1::TASK_STATE_BLOCKED);
    *task.message.mutable_resources() = plan.resources;
    for (const std::string& step : plan.dependencies) task.message.add_dependencies(step);
    RETURN_IF_ERROR(store::InsertTask(transaction.store(), task));
  }
  RETURN_IF_ERROR(QueueUnblocked(transaction, {.project = std::string(project), .message = run}));
  ASSIGN_OR_RETURN(store::StoredRun stored, store::GetRun(transaction.store(), id));
  // All may have been taken from earlier runs.
  RETURN_IF_ERROR(MaybeFinish(transaction, stored));
  ASSIGN_OR_RETURN(stored, store::GetRun(transaction.store(), id));
  run = std::move(stored.message);
  return absl::OkStatus();
}

absl::Status CancelRun(Transaction& transaction, store::StoredRun& run, std::string_view reason) {
  if (IsTerminal(run.message.state()) || run.message.state() == v1::RUN_STATE_CANCELLING) {
    return absl::OkStatus();
  }
  const std::string id(store::IdOf(run.message.name()));
  run.message.set_state(v1::RUN_STATE_CANCELLING);
  RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
  v1::Event event = RunEvent(run.message);
  if (!reason.empty()) {
    event.mutable_run_state()->mutable_failure()->set_message(
        absl::StrCat("cancelled: ", A(reason)));
  }
  RETURN_IF_ERROR(transaction.Append(id, std::move(event)));
  RETURN_IF_ERROR(StopTasks(transaction, id));
  return MaybeFinish(transaction, run);
}

absl::Status AfterTask(Transaction& transaction, const store::StoredTask& task) {
  ASSIGN_OR_RETURN(store::StoredRun run, store::GetRun(transaction.store(), task.run));
  const bool stopping =
      run.message.has_failure() || run.message.state() == v1::RUN_STATE_CANCELLING;
  if (IsRepetition(task)) {
    if (stopping) {
      RETURN_IF_ERROR(KeepRepetition(transaction, run, task));
      return MaybeFinish(transaction, run);
    }
    ASSIGN_OR_RETURN(store::StoredTask own,
                     store::GetTask(transaction.store(), task.run, task.message.step()));
    ASSIGN_OR_RETURN(const Repetition state, AfterRepetition(transaction, run, task, own));
    RETURN_IF_ERROR(Follow(transaction, run, state, own));
    // A trial that was given up may end after everything else.
    return state == Repetition::kGoesOn ? MaybeFinish(transaction, run) : absl::OkStatus();
  }
  if (task.message.state() == v1::TASK_STATE_SUCCEEDED) {
    if (task.message.result().model().empty() == false) {
      run.message.add_models(task.message.result().model());
      RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
    }
    RETURN_IF_ERROR(KeepResult(transaction, run, task));
    if (!stopping) RETURN_IF_ERROR(QueueUnblocked(transaction, run));
  } else if (!stopping) {
    v1::Failure& failure = *run.message.mutable_failure();
    failure = task.message.failure();
    if (task.message.state() == v1::TASK_STATE_CANCELLED) {
      failure.set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
      failure.set_message("the worker stopped it although nobody had asked");
    }
    failure.set_message(
        absl::StrCat("step \"", task.message.step(), "\" failed: ", failure.message()));
    RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
    RETURN_IF_ERROR(StopTasks(transaction, task.run));
  }
  return MaybeFinish(transaction, run);
}

absl::Status PauseRun(Transaction& transaction, store::StoredRun& run) {
  const std::string id(store::IdOf(run.message.name()));
  run.message.set_state(v1::RUN_STATE_PAUSED);
  RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
  RETURN_IF_ERROR(transaction.Append(id, RunEvent(run.message)));
  ASSIGN_OR_RETURN(const auto tasks, store::ListTasks(transaction.store(), id));
  for (const store::StoredTask& task : tasks) {
    const v1::TaskState state = task.message.state();
    if (state != v1::TASK_STATE_QUEUED && state != v1::TASK_STATE_RUNNING) continue;
    if (IsRepeating(task)) continue;
    transaction.Schedule(scheduler::TaskCancelled{.task = scheduler::TaskId(task.message.name())});
  }
  return absl::OkStatus();
}

absl::Status ResumeRun(Transaction& transaction, store::StoredRun& run) {
  const std::string id(store::IdOf(run.message.name()));
  run.message.set_state(run.message.has_start_time() ? v1::RUN_STATE_RUNNING
                                                     : v1::RUN_STATE_QUEUED);
  RETURN_IF_ERROR(store::UpdateRun(transaction.store(), run.message));
  RETURN_IF_ERROR(transaction.Append(id, RunEvent(run.message)));
  ASSIGN_OR_RETURN(auto tasks, store::ListTasks(transaction.store(), id));
  for (store::StoredTask& task : tasks) {
    if (task.message.state() == v1::TASK_STATE_PAUSED) {
      RETURN_IF_ERROR(QueueTask(transaction, run, task));
    }
  }
  return absl::OkStatus();
}

absl::Status HoldTask(Transaction& transaction, store::StoredTask& task) {
  task.message.set_state(v1::TASK_STATE_PAUSED);
  task.message.clear_failure();
  task.message.clear_result();
  task.not_before = absl::InfinitePast();
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  return transaction.Append(task.run, TaskEvent(task, task.message.attempt(), ""));
}

absl::Status QueueTask(Transaction& transaction, const store::StoredRun& run,
                       store::StoredTask& task) {
  if (run.message.state() == v1::RUN_STATE_PAUSED) return HoldTask(transaction, task);
  task.message.set_state(v1::TASK_STATE_QUEUED);
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  v1::Event event = TaskEvent(task, 0, "");
  if (IsRepetition(task)) *event.mutable_task_state()->mutable_trial() = task.message.trial();
  RETURN_IF_ERROR(transaction.Append(task.run, std::move(event)));
  ASSIGN_OR_RETURN(scheduler::TaskQueued queued, QueuedEvent(transaction, run, task));
  transaction.Schedule(std::move(queued));
  return absl::OkStatus();
}

v1::Event TaskEvent(const store::StoredTask& task, int32_t attempt, std::string_view reason) {
  v1::Event event;
  event.set_step(task.message.step());
  if (IsRepetition(task)) event.set_task(task.id());
  event.set_attempt(attempt);
  v1::TaskStateChanged& change = *event.mutable_task_state();
  change.set_state(task.message.state());
  change.set_reason(std::string(reason));
  if (task.message.has_failure()) *change.mutable_failure() = task.message.failure();
  if (task.message.state() == v1::TASK_STATE_RUNNING) change.set_worker(task.message.worker());
  if (task.message.state() == v1::TASK_STATE_SUCCEEDED) {
    *change.mutable_result() = task.message.result();
  }
  if (task.not_before != absl::InfinitePast() && task.message.state() == v1::TASK_STATE_QUEUED) {
    *change.mutable_not_before() = store::ToProto(task.not_before);
  }
  return event;
}

}  // namespace beamline::server
