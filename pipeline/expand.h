// From a definition to the tasks that are scheduled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "beamline/v1/common.pb.h"
#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

// Resources of a task whose step says nothing. Unit: bytes.
inline constexpr int64_t kDefaultMemoryBytes = int64_t{1} << 30;
// The least that a step may ask for. Unit: bytes.
inline constexpr int64_t kMinMemoryBytes = int64_t{16} << 20;
inline constexpr double kDefaultCpus = 1;
inline constexpr int kDefaultMaxAttempts = 5;

// A step's own task, or one of its trials and folds, before it has a state. What it needs is given
// by the keys that v1.Attempt.inputs has for it.
struct PlannedTask {
  std::string step;
  // Steps whose tasks must succeed first; ascending, without duplicates.
  std::vector<std::string> dependencies;
  // With defaults in place of zeros.
  v1::Resources resources;
  int max_attempts = kDefaultMaxAttempts;
  // 0: no limit.
  int64_t timeout_seconds = 0;

  // Inputs of the pipeline whose tables it reads: Attempt.inputs[name] is the dataset's table.
  std::vector<std::string> tables;
  // Results of tasks before it: Attempt.inputs["train/model"] is artifact "model" of task "train",
  // Attempt.inputs["clean/table"] the table that prepare step "clean" made.
  struct Artifact {
    std::string task;
    std::string artifact;
    std::string key() const { return task + "/" + artifact; }
  };
  std::vector<Artifact> artifacts;
  // Registered models that it reads: Attempt.inputs["projects/P/models/M/versions/V"] is the file.
  std::vector<std::string> models;
  // Steps whose evaluations it needs: Attempt.evaluations[step].
  std::vector<std::string> evaluations;
};

// The steps' own tasks, dependencies before those that depend on them, otherwise in the order of
// the definition. A train step that nothing but scaling studies names has none. Precondition:
// Validate found nothing.
std::vector<PlannedTask> Expand(const v1::PipelineDefinition& definition);

// The task of a step that is `trial` (pipeline/trial.h); of an empty one the step's own.
// The own task of a scaling study needs what its trainings need.
PlannedTask PlanTask(const v1::PipelineDefinition& definition, const v1::Step& step,
                     const v1::Trial& trial);

}  // namespace beamline::pipeline
