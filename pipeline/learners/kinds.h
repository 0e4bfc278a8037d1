// Four functions for each learner that is no network: the table in registry.cc joins them by the
// type of the learner's fields. What they have to do: learner_kind.h.
#pragma once

#include <memory>

#include "beamline/v1/learners.pb.h"
#include "pipeline/learners/learner_kind.h"

namespace beamline::pipeline {

// linear.cc
void CheckFields(const v1::LinearLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::LinearLearner* fields);
double BytesOf(const v1::LinearLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::LinearLearner& fields,
                                      const LearnerSetting& setting);

// command.cc
void CheckFields(const v1::CommandLearner& fields, LearnerCheck& check);
void CompleteFields(const LearnerFacts& facts, v1::CommandLearner* fields);
double BytesOf(const v1::CommandLearner& fields, const LearnerFacts& facts);
std::unique_ptr<engine::Learner> Make(const v1::CommandLearner& fields,
                                      const LearnerSetting& setting);

}  // namespace beamline::pipeline
