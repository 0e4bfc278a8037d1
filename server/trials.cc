#include "server/trials.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/search/report.h"
#include "pipeline/trial.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

using State = pipeline::search::Outcome::State;

// Full trainings behind those that stop at some epoch.
int64_t Reach(int32_t epochs) { return epochs > 0 ? epochs : INT64_MAX; }

void Judge(TrialPart* part) {
  std::vector<double> values;
  bool ended = true;
  bool failed = false;
  for (const store::StoredTrial* task : part->tasks) {
    failed = failed || HasFailed(*task);
    ended = ended && task->state == v1::TASK_STATE_SUCCEEDED;
    if (task->value.has_value()) values.push_back(*task->value);
  }
  if (failed) {
    part->state = State::kFailed;
  } else if (ended) {
    part->state = State::kSucceeded;
    part->value = StatisticsOf(std::move(values));
  }
}

// What users are told of a part. Cancelled: no task of it failed by itself.
v1::TaskState StateOf(const TrialPart& part) {
  if (part.state == State::kUnknown) return v1::TASK_STATE_RUNNING;
  if (part.state == State::kSucceeded) return v1::TASK_STATE_SUCCEEDED;
  const bool cancelled = std::none_of(part.tasks.begin(), part.tasks.end(), [](const auto* task) {
    return HasFailed(*task) && task->state != v1::TASK_STATE_CANCELLED;
  });
  return cancelled ? v1::TASK_STATE_CANCELLED : v1::TASK_STATE_FAILED;
}

// A trial as users see it, from its parts in the order of their epochs.
v1::TrialSummary ToSummary(const std::vector<const TrialPart*>& parts) {
  v1::TrialSummary summary;
  const v1::Trial& trial = parts.front()->trial;
  summary.set_number(trial.number());
  *summary.mutable_parameters() = trial.parameters();
  summary.set_state(v1::TASK_STATE_SUCCEEDED);
  double seconds = 0;
  for (const TrialPart* part : parts) {
    for (const store::StoredTrial* task : part->tasks) seconds += task->seconds;
    if (part->state != State::kSucceeded) summary.set_state(StateOf(*part));
    if (part->state != State::kSucceeded) continue;
    // In a population they change from part to part.
    *summary.mutable_parameters() = part->trial.parameters();
    summary.set_value(part->value.mean());
    summary.set_standard_error(part->value.standard_error());
    *summary.mutable_fold_values() = part->value.values();
    summary.set_epochs(part->trial.epochs());
  }
  summary.set_seconds(seconds);
  return summary;
}

// Of the trials that trained to the end: who is on the front, and what mattered.
void AddInsights(const v1::Step& step, v1::ListTrialsResponse* response) {
  std::vector<pipeline::search::TrialPoint> points;
  std::vector<v1::TrialSummary*> trials;
  for (v1::TrialSummary& trial : *response->mutable_trials()) {
    if (!trial.has_value() || trial.epochs() != 0) continue;
    trials.push_back(&trial);
    points.push_back({.number = trial.number(),
                      .values = {trial.parameters().begin(), trial.parameters().end()},
                      .value = trial.value(),
                      .seconds = trial.seconds()});
  }
  const std::vector<bool> front = pipeline::search::ParetoFront(points, response->maximize());
  for (size_t i = 0; i < trials.size(); ++i) trials[i]->set_pareto(front[i]);
  for (v1::ParameterImportance& importance :
       pipeline::search::Importance(step.search(), points, response->maximize())) {
    *response->add_importance() = std::move(importance);
  }
}

// Why a trial failed: of its first task that did.
absl::StatusOr<v1::Failure> FailureOf(const store::View& view, std::string_view run,
                                      const std::vector<const TrialPart*>& parts) {
  for (const TrialPart* part : parts) {
    for (const store::StoredTrial* trial : part->tasks) {
      if (!HasFailed(*trial)) continue;
      ASSIGN_OR_RETURN(const store::StoredTask task, store::GetTask(view, run, trial->task));
      if (task.message.has_failure()) return task.message.failure();
    }
  }
  v1::Failure failure;
  failure.set_kind(v1::FAILURE_KIND_USER);
  failure.set_message("its objective could not be computed from the validation rows");
  return failure;
}

}  // namespace

bool HasFailed(const store::StoredTrial& trial) {
  return trial.state == v1::TASK_STATE_FAILED || trial.state == v1::TASK_STATE_CANCELLED ||
         (trial.state == v1::TASK_STATE_SUCCEEDED && !trial.value.has_value());
}

v1::FoldStatistics StatisticsOf(std::vector<double> values) {
  v1::FoldStatistics statistics;
  const auto count = static_cast<double>(values.size());
  if (values.empty()) return statistics;
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
    statistics.add_values(value);
  }
  statistics.set_mean(mean);
  if (values.size() > 1) statistics.set_standard_error(std::sqrt(squares / (count - 1) / count));
  return statistics;
}

std::vector<TrialPart> PartsOf(const std::vector<store::StoredTrial>& trials) {
  std::map<std::pair<int32_t, int64_t>, TrialPart> parts;
  for (const store::StoredTrial& trial : trials) {
    TrialPart& part = parts[{trial.message.number(), Reach(trial.message.epochs())}];
    part.trial = trial.message;
    part.trial.clear_fold();
    part.tasks.push_back(&trial);
  }
  std::vector<TrialPart> list;
  for (auto& [key, part] : parts) {
    Judge(&part);
    list.push_back(std::move(part));
  }
  return list;
}

pipeline::search::Outcome OutcomeOf(const TrialPart& part) {
  return {.number = part.trial.number(),
          .epochs = part.trial.epochs(),
          .values = {part.trial.parameters().begin(), part.trial.parameters().end()},
          .state = part.state,
          .value = part.value.mean()};
}

absl::StatusOr<v1::ListTrialsResponse> Summarize(const store::View& view, std::string_view run,
                                                 const v1::Step& step) {
  ASSIGN_OR_RETURN(const auto trials, store::ListTrials(view, run, step.name()));
  const std::vector<TrialPart> parts = PartsOf(trials);
  std::map<int32_t, std::vector<const TrialPart*>> by_number;
  for (const TrialPart& part : parts) by_number[part.trial.number()].push_back(&part);
  const pipeline::Objective objective = pipeline::ObjectiveOf(step);
  std::vector<v1::TrialSummary> summaries;
  for (const auto& [number, of_trial] : by_number) {
    v1::TrialSummary& summary = summaries.emplace_back(ToSummary(of_trial));
    if (summary.state() != v1::TASK_STATE_FAILED) continue;
    ASSIGN_OR_RETURN(*summary.mutable_failure(), FailureOf(view, run, of_trial));
  }
  const auto rank = [&](const v1::TrialSummary& trial) {
    const bool judged = trial.has_value() && trial.state() != v1::TASK_STATE_FAILED;
    return std::tuple(!judged, judged ? -Reach(trial.epochs()) : 0,
                      objective.maximize ? -trial.value() : trial.value(), trial.number());
  };
  std::sort(summaries.begin(), summaries.end(),
            [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  v1::ListTrialsResponse response;
  response.set_step(step.name());
  response.set_objective(objective.name);
  response.set_maximize(objective.maximize);
  for (v1::TrialSummary& summary : summaries) *response.add_trials() = std::move(summary);
  AddInsights(step, &response);
  return response;
}

}  // namespace beamline::server
