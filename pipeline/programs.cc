#include "pipeline/programs.h"

#include "pipeline/dependencies.h"
#include "pipeline/trial.h"

namespace beamline::pipeline {

namespace {

// Null if an attempt at the step starts none.
const v1::Program* ProgramOf(const v1::PipelineDefinition& definition, const v1::Step& step) {
  if (step.has_command()) return &step.command().program();
  if (const ModelUse use = ModelUseOf(step); !use.model.empty()) {
    if (step.evaluate().has_program()) return &step.evaluate().program();
    if (step.predict().has_program()) return &step.predict().program();
    const v1::Step* trained = FindStep(definition, use.model);
    return trained != nullptr && trained->has_train() ? ProgramOf(definition, *trained) : nullptr;
  }
  return step.train().has_command() ? &step.train().command().program() : nullptr;
}

}  // namespace

bool RunsProgram(const v1::PipelineDefinition& definition, const v1::Step& step) {
  return ProgramOf(definition, step) != nullptr;
}

std::string ImageOf(const v1::PipelineDefinition& definition, const v1::Step& step) {
  const v1::Program* program = ProgramOf(definition, step);
  return program == nullptr ? "" : program->image();
}

const v1::Step* FindProgramStep(const v1::PipelineDefinition& definition) {
  for (const v1::Step& step : definition.steps()) {
    if (RunsProgram(definition, step)) return &step;
  }
  return nullptr;
}

}  // namespace beamline::pipeline
