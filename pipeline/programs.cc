#include "pipeline/programs.h"

#include "pipeline/trial.h"

namespace beamline::pipeline {

bool RunsProgram(const v1::PipelineDefinition& definition, const v1::Step& step) {
  if (step.has_command()) return true;
  if (step.has_train()) return step.train().has_command();
  if (!step.has_evaluate()) return false;
  const v1::Step* trained = FindStep(definition, step.evaluate().model());
  return trained != nullptr && trained->has_train() && trained->train().has_command();
}

const v1::Step* FindProgramStep(const v1::PipelineDefinition& definition) {
  for (const v1::Step& step : definition.steps()) {
    if (RunsProgram(definition, step)) return &step;
  }
  return nullptr;
}

}  // namespace beamline::pipeline
