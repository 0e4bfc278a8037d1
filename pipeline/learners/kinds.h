// Four functions for each learner of kinds.def, which NAME.cc defines: the table in registry.cc
// joins them by the type of the learner's fields. What they have to do: learner_kind.h.
#pragma once

#include <memory>

#include "beamline/v1/learners.pb.h"
#include "pipeline/learners/learner_kind.h"

namespace beamline::pipeline {

#define BEAMLINE_LEARNER(Fields, ...)                                  \
  void CheckFields(const v1::Fields& fields, LearnerCheck& check);     \
  void CompleteFields(const LearnerFacts& facts, v1::Fields* fields);  \
  double BytesOf(const v1::Fields& fields, const LearnerFacts& facts); \
  std::unique_ptr<engine::Learner> Make(const v1::Fields& fields, const LearnerSetting& setting);
#include "pipeline/learners/kinds.def"
#undef BEAMLINE_LEARNER

}  // namespace beamline::pipeline
