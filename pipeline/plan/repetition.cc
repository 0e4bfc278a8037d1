#include "pipeline/plan/repetition.h"

#include <algorithm>

#include "pipeline/learners/registry.h"
#include "pipeline/search/halving.h"
#include "pipeline/search/search.h"
#include "pipeline/study.h"
#include "pipeline/trial.h"

namespace beamline::pipeline {
namespace {

constexpr int64_t kDefaultParallel = 16;

search::Setting SettingOf(const v1::PipelineDefinition& definition, const v1::Step& step) {
  return {step.search(), EpochsOf(step.train()), ObjectiveOf(step).maximize, definition.seed()};
}

}  // namespace

Repetition RepetitionOf(const v1::Step& step) {
  Repetition repetition;
  if (step.has_scaling_study()) {
    const v1::ScalingStudyStep& study = step.scaling_study();
    repetition.tasks = int64_t{CountPoints(study)} * std::max(1, study.repeats());
    repetition.trainings = static_cast<double>(repetition.tasks);
    return repetition;
  }
  repetition.folds = CountFolds(step.cross_validation());
  const int64_t each = std::max<int64_t>(1, repetition.folds);
  repetition.refit = repetition.folds > 0;
  int64_t parts = 1;
  if (step.has_search()) {
    const search::Setting setting{step.search(), EpochsOf(step.train()), false, 0};
    if (step.search().has_successive_halving() || step.search().has_hyperband()) {
      parts = 0;
      repetition.trainings = 0;
      for (const search::Bracket& bracket : search::Brackets(setting)) {
        int before = 0;
        for (const search::Round& round : bracket.rounds) {
          parts += round.trials;
          repetition.trainings += static_cast<double>(round.trials) *
                                  static_cast<double>(round.epochs - before) /
                                  std::max(1, setting.step_epochs);
          before = round.epochs;
        }
      }
    } else {
      parts = search::TrialCount(setting);
      repetition.trainings = static_cast<double>(parts);
    }
    repetition.parallel =
        step.search().max_parallel() > 0 ? step.search().max_parallel() : kDefaultParallel;
  }
  repetition.parallel = std::min(repetition.parallel, std::max<int64_t>(1, parts)) * each;
  // Each generation is one after the other, and a part of the whole training.
  if (step.search().has_population()) {
    parts *= std::max(1, step.search().population().generations());
  }
  repetition.tasks = parts * each + (repetition.refit ? 1 : 0);
  repetition.trainings *= static_cast<double>(each);
  return repetition;
}

std::vector<v1::PipelineDefinition> FirstTrials(const v1::PipelineDefinition& definition,
                                                const v1::Step& step, int limit) {
  v1::PipelineDefinition plain = definition;
  for (v1::Step& other : *plain.mutable_steps()) other.clear_search();
  std::vector<v1::PipelineDefinition> trials;
  if (!step.has_search()) return {plain};
  for (const search::Suggestion& next :
       search::MakePlan(SettingOf(definition, step), {}, limit).due) {
    v1::Trial trial;
    trial.set_number(next.number);
    trial.mutable_parameters()->insert(next.values.begin(), next.values.end());
    v1::PipelineDefinition variant = plain;
    if (ApplyTrial(step.name(), trial, &variant).empty()) trials.push_back(std::move(variant));
  }
  return trials;
}

}  // namespace beamline::pipeline
