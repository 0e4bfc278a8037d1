// The tasks that a step becomes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "pipeline/validate.h"

namespace beamline::pipeline {

struct Repetition {
  // In all.
  int64_t tasks = 1;
  // Of them the training that follows cross-validation.
  bool refit = false;
  // Folds of each trial; 0 without cross-validation.
  int64_t folds = 0;
  // Tasks that may run at once.
  int64_t parallel = 1;
  // Trainings of all trials and folds together, in whole ones: a trial that is given up early
  // counts for what it trained. Without the refit.
  double trainings = 1;
};
Repetition RepetitionOf(const v1::Step& step);

// The definition with the values of the first trials of a step's search, at most `limit`, as far as
// they are known before any has run; the definition itself of a step without a search. Searches are
// removed.
std::vector<v1::PipelineDefinition> FirstTrials(const v1::PipelineDefinition& definition,
                                                const v1::Step& step, int limit);

}  // namespace beamline::pipeline
