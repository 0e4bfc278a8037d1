#include "server/repetition_tasks.h"

#include <optional>
#include <utility>

#include "base/status_macros.h"
#include "pipeline/expand.h"
#include "pipeline/trial.h"
#include "server/names.h"
#include "server/run_progress.h"
#include "store/time.h"
#include "store/trials.h"

namespace beamline::server {

absl::Status MakeRepetition(Transaction& transaction, const store::StoredRun& run,
                            const v1::Step& step, const store::StoredTask& own,
                            const v1::Trial& trial) {
  const pipeline::PlannedTask plan = pipeline::PlanTask(run.message.definition(), step, trial);
  store::StoredTask task;
  task.run = own.run;
  task.position = own.position;
  task.queued_at = transaction.now();
  const std::string id = pipeline::TaskIdOf(step.name(), trial);
  task.message.set_name(TaskNameOf(run.message.name(), id));
  task.message.set_step(step.name());
  *task.message.mutable_trial() = trial;
  *task.message.mutable_resources() = plan.resources;
  for (const std::string& before : plan.dependencies) task.message.add_dependencies(before);
  task.message.set_state(v1::TASK_STATE_BLOCKED);
  RETURN_IF_ERROR(store::InsertTask(transaction.store(), task));
  store::StoredTrial stored{.run = own.run,
                            .step = step.name(),
                            .task = id,
                            .state = v1::TASK_STATE_QUEUED,
                            .value = std::nullopt,
                            .message = trial};
  RETURN_IF_ERROR(store::InsertTrial(transaction.store(), stored));
  return QueueTask(transaction, run, task);
}

absl::StatusOr<Repetition> EndRepeated(Transaction& transaction, store::StoredTask& own) {
  *own.message.mutable_end_time() = store::ToProto(transaction.now());
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), own));
  RETURN_IF_ERROR(transaction.Append(own.run, TaskEvent(own, 0, "")));
  return Repetition::kEnded;
}

absl::StatusOr<Repetition> FailRepeated(Transaction& transaction, store::StoredTask& own,
                                        std::string why) {
  own.message.set_state(v1::TASK_STATE_FAILED);
  own.message.mutable_failure()->set_kind(v1::FAILURE_KIND_USER);
  own.message.mutable_failure()->set_message(std::move(why));
  return EndRepeated(transaction, own);
}

}  // namespace beamline::server
