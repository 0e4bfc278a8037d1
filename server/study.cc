#include "server/study.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "pipeline/study.h"
#include "server/repetition_tasks.h"
#include "server/states.h"
#include "store/trials.h"

namespace beamline::server {
namespace {

absl::StatusOr<std::vector<pipeline::EndedTraining>> TrainingsOf(
    const store::View& view, const std::vector<store::StoredTrial>& trials) {
  std::vector<pipeline::EndedTraining> trainings;
  for (const store::StoredTrial& trial : trials) {
    ASSIGN_OR_RETURN(const store::StoredTask task, store::GetTask(view, trial.run, trial.task));
    pipeline::EndedTraining& training = trainings.emplace_back();
    training.trial = trial.message;
    const v1::TaskResult& result = task.message.result();
    if (trial.state == v1::TASK_STATE_SUCCEEDED && result.scaling().points_size() == 1) {
      training.measured = result.scaling().points(0);
      const auto model = result.artifacts().find("model");
      if (model != result.artifacts().end()) training.digest = model->second.digest();
      continue;
    }
    training.failed = true;
    training.failure = task.message.failure();
    if (task.message.has_failure()) continue;
    training.failure.set_kind(v1::FAILURE_KIND_INFRASTRUCTURE);
    training.failure.set_message("its worker ended it without a measurement");
  }
  return trainings;
}

// All trainings have ended.
absl::StatusOr<Repetition> Conclude(Transaction& transaction, const v1::ScalingStudyStep& study,
                                    const std::vector<pipeline::EndedTraining>& trainings,
                                    store::StoredTask& task) {
  pipeline::StudySummary summary = pipeline::Summarize(study, trainings);
  const int points = summary.table.points_size();
  v1::TaskResult& result = *task.message.mutable_result();
  for (const pipeline::EndedTraining& training : trainings) {
    result.set_seconds(result.seconds() + training.measured.seconds());
  }
  auto& metrics = *result.mutable_metrics();
  metrics["points"] = points;
  metrics["failed_points"] = summary.failed_points;
  metrics["compared_models"] = summary.compared_models;
  metrics["different_models"] = summary.different_models;
  *result.mutable_scaling() = std::move(summary.table);
  if (summary.failed_points == points) {
    v1::Failure& failure = *task.message.mutable_failure();
    const auto first = std::ranges::find_if(trainings, &pipeline::EndedTraining::failed);
    if (first != trainings.end()) failure = first->failure;
    failure.set_message(absl::StrCat("none of ", points, " combinations could be trained, the ",
                                     "first of them: ", failure.message()));
    task.message.set_state(v1::TASK_STATE_FAILED);
    return EndRepeated(transaction, task);
  }
  task.message.set_state(v1::TASK_STATE_SUCCEEDED);
  return EndRepeated(transaction, task);
}

}  // namespace

absl::StatusOr<Repetition> AdvanceStudy(Transaction& transaction, const store::StoredRun& run,
                                        const v1::Step& step, store::StoredTask& task) {
  ASSIGN_OR_RETURN(const auto trials,
                   store::ListTrials(transaction.store(), task.run, step.name()));
  std::map<int, bool> failed;
  for (const store::StoredTrial& trial : trials) {
    if (!IsTerminal(trial.state)) return Repetition::kGoesOn;
    failed[trial.message.number()] = trial.state != v1::TASK_STATE_SUCCEEDED;
  }
  const v1::Trial next = pipeline::NextTraining(step.scaling_study(), failed);
  if (next.number() > 0) {
    RETURN_IF_ERROR(MakeRepetition(transaction, run, step, task, next));
    return Repetition::kGoesOn;
  }
  ASSIGN_OR_RETURN(const auto trainings, TrainingsOf(transaction.store(), trials));
  return Conclude(transaction, step.scaling_study(), trainings, task);
}

}  // namespace beamline::server
