#include "engine/learners/radial_basis.h"

#include "engine/learners/cluster.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::RadialBasisLearner& fields, LearnerCheck& check) {
  check.Count("centres", fields.centres(), 1'000'000, check.facts().rows, "training rows");
  check.Range("width", fields.width(), 1e-30, 1e30);
  check.Range("penalty", fields.penalty(), 0, 1e12);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::RadialBasisLearner* fields) {
  // A width of 0 is the engine's to find: it depends on the centres.
  if (!fields->has_penalty()) fields->set_penalty(1e-6);
}

double BytesOf(const v1::RadialBasisLearner& fields, const LearnerFacts& facts) {
  const double centres = fields.centres();
  return 16 * centres * centres + 36 * centres * static_cast<double>(facts.features) +
         static_cast<double>(engine::LloydBytes(facts.rows, fields.centres(), facts.features));
}

std::unique_ptr<engine::Learner> Make(const v1::RadialBasisLearner& fields,
                                      const LearnerSetting& setting) {
  engine::RadialBasisSpec spec;
  spec.centres = fields.centres();
  spec.width = fields.width();
  spec.penalty = fields.penalty();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeRadialBasis(spec, setting.data);
}

}  // namespace beamline::pipeline
