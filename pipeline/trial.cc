#include "pipeline/trial.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "pipeline/metric_names.h"
#include "pipeline/parameters.h"
#include "pipeline/schema.h"
#include "pipeline/study.h"

namespace beamline::pipeline {

const v1::Step* FindStep(const v1::PipelineDefinition& definition, std::string_view name) {
  for (const v1::Step& step : definition.steps()) {
    if (step.name() == name) return &step;
  }
  return nullptr;
}

bool IsRepeated(const v1::Step& step) {
  return step.has_search() || step.has_cross_validation() || step.has_scaling_study();
}

int CountFolds(const v1::CrossValidation& cross_validation) {
  switch (cross_validation.kind_case()) {
    case v1::CrossValidation::kKFold:
      return cross_validation.k_fold().folds() * std::max(1, cross_validation.k_fold().repeats());
    case v1::CrossValidation::kStratified:
      return cross_validation.stratified().folds() *
             std::max(1, cross_validation.stratified().repeats());
    case v1::CrossValidation::kTimeSeries:
      return cross_validation.time_series().folds();
    case v1::CrossValidation::kGrouped:
      return cross_validation.grouped().folds();
    case v1::CrossValidation::KIND_NOT_SET:
      return 0;
  }
  return 0;
}

bool IsRefit(const v1::Step& step, const v1::Trial& trial) {
  return step.has_cross_validation() && trial.fold() == 0;
}

std::string TaskIdOf(std::string_view step, const v1::Trial& trial) {
  std::string id(step);
  if (trial.number() > 0) absl::StrAppend(&id, ".", trial.number());
  if (trial.epochs() > 0) absl::StrAppend(&id, ".e", trial.epochs());
  if (trial.fold() > 0) absl::StrAppend(&id, ".f", trial.fold());
  return id;
}

std::string ContinuedTask(std::string_view step, const v1::Trial& trial) {
  if (trial.after_epochs() == 0) return "";
  v1::Trial before = trial;
  before.set_epochs(trial.after_epochs());
  if (trial.after_trial() > 0) before.set_number(trial.after_trial());
  return TaskIdOf(step, before);
}

Objective ObjectiveOf(const v1::Step& step) {
  Objective objective{.name = step.search().objective()};
  if (objective.name.empty()) objective.name = "loss";
  const MetricName* metric = FindMetricName(objective.name);
  objective.maximize = metric != nullptr && metric->larger_is_better;
  return objective;
}

bool LeavesPredictions(const v1::TrainStep& train) {
  return !train.has_adversarial() && HasTarget(train.data()) && !Embeds(train.network().loss());
}

std::string SpacePath(const v1::PipelineDefinition& definition, std::string_view step,
                      const std::string& key) {
  const v1::Step* found = FindStep(definition, step);
  if (found != nullptr && found->has_scaling_study()) return StudyPath(definition, *found, key);
  for (const v1::Parameter& parameter : definition.parameters()) {
    if (parameter.name() == key) return parameter.path();
  }
  return absl::StrCat("steps.", A(step), ".", key);
}

std::vector<v1::Violation> ApplyTrial(std::string_view step, const v1::Trial& trial,
                                      v1::PipelineDefinition* definition) {
  google::protobuf::Map<std::string, google::protobuf::Value> parameters;
  std::map<std::string, std::string> keys;
  for (const auto& [key, value] : trial.parameters()) {
    const std::string path = SpacePath(*definition, step, key);
    parameters[path] = value;
    keys[path] = key;
  }
  for (v1::Step& place : *definition->mutable_steps()) {
    if (place.name() != step || !place.has_scaling_study()) continue;
    const v1::Step training = TrainingOf(*definition, place);
    place = training;
  }
  std::vector<v1::Violation> violations = ApplyParameters(parameters, definition);
  for (v1::Violation& violation : violations) {
    if (const auto found = keys.find(violation.field()); found != keys.end()) {
      violation.set_field(found->second);
    }
  }
  return violations;
}

}  // namespace beamline::pipeline
