// Steps that are repeated: by a search for its trials, by cross-validation for its folds, by a
// scaling study (pipeline/study.h) for its trainings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/search.pb.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// Null if the definition has no such step.
const v1::Step* FindStep(const v1::PipelineDefinition& definition, std::string_view name);

bool IsRepeated(const v1::Step& step);

// Folds of each trial, those of all repeats together; 0 without cross-validation.
int CountFolds(const v1::CrossValidation& cross_validation);

// The training that follows cross-validation: on the step's own split, with the best values.
bool IsRefit(const v1::Step& step, const v1::Trial& trial);

// The last part of a task's name: "tune"; of a trial or a training of a study "tune.3", to the end
// of its ninth epoch "tune.3.e9", of its second fold "tune.3.e9.f2"; of a fold without a search
// "tune.f2".
std::string TaskIdOf(std::string_view step, const v1::Trial& trial);

// The task whose state the trial goes on from; empty: none, it begins anew.
std::string ContinuedTask(std::string_view step, const v1::Trial& trial);

// What trials are compared by.
struct Objective {
  std::string name;
  bool maximize = false;
  // Its name among the metrics of a train step's result.
  std::string metric() const { return "validation_" + name; }
};
Objective ObjectiveOf(const v1::Step& step);

// Whether its models predict a target, so that those of folds leave their predictions.
bool LeavesPredictions(const v1::TrainStep& train);

// Where a key of a space leads: a path from the top of the definition.
std::string SpacePath(const v1::PipelineDefinition& definition, std::string_view step,
                      const std::string& key);

// Puts the trial's values into `definition`, and the training of a scaling study in its place. One
// violation, with the key as its field, for each value that cannot be put there.
std::vector<v1::Violation> ApplyTrial(std::string_view step, const v1::Trial& trial,
                                      v1::PipelineDefinition* definition);

}  // namespace beamline::pipeline
