// A program of the user's. What it is made of are files and processes: execute_program.cc.
#include "engine/core/error.h"
#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

// CheckProgram (validate_program.cc) has looked at the program.
void CheckFields(const v1::CommandLearner& /*fields*/, LearnerCheck& /*check*/) {}

void CompleteFields(const LearnerFacts& /*facts*/, v1::CommandLearner* /*fields*/) {}

double BytesOf(const v1::CommandLearner& /*fields*/, const LearnerFacts& /*facts*/) { return 0; }

std::unique_ptr<engine::Learner> Make(const v1::CommandLearner& /*fields*/,
                                      const LearnerSetting& /*setting*/) {
  engine::Fail(
      "the model is a program's, which only steps of a pipeline run: measure it with an evaluate "
      "step of the pipeline that trains it");
}

}  // namespace beamline::pipeline
