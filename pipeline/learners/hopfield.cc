#include "engine/learners/hopfield.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::HopfieldLearner& fields, LearnerCheck& check) {
  check.Range("max_passes", fields.max_passes(), 1, 10'000);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::HopfieldLearner* fields) {
  if (fields->rule() == v1::HopfieldLearner::RULE_UNSPECIFIED) {
    fields->set_rule(v1::HopfieldLearner::RULE_HEBB);
  }
  if (fields->max_passes() == 0) fields->set_max_passes(100);
}

double BytesOf(const v1::HopfieldLearner& /*fields*/, const LearnerFacts& facts) {
  const auto units = static_cast<double>(facts.features);
  return 12 * units * units;
}

std::unique_ptr<engine::Learner> Make(const v1::HopfieldLearner& fields,
                                      const LearnerSetting& setting) {
  engine::HopfieldSpec spec;
  if (fields.rule() == v1::HopfieldLearner::RULE_STORKEY) {
    spec.rule = engine::HopfieldRule::kStorkey;
  } else if (fields.rule() == v1::HopfieldLearner::RULE_PSEUDO_INVERSE) {
    spec.rule = engine::HopfieldRule::kPseudoInverse;
  }
  spec.max_passes = fields.max_passes();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeHopfield(spec, setting.data);
}

}  // namespace beamline::pipeline
