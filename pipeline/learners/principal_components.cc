#include "engine/learners/principal_components.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::PrincipalComponentsLearner& fields, LearnerCheck& check) {
  check.Count("components", fields.components(), 65'536, check.facts().features, "features");
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::PrincipalComponentsLearner* /*fields*/) {}

double BytesOf(const v1::PrincipalComponentsLearner& /*fields*/, const LearnerFacts& facts) {
  const auto features = static_cast<double>(facts.features);
  return 32 * features * features;
}

std::unique_ptr<engine::Learner> Make(const v1::PrincipalComponentsLearner& fields,
                                      const LearnerSetting& setting) {
  engine::PrincipalComponentsSpec spec;
  spec.components = fields.components();
  spec.whiten = fields.whiten();
  spec.threads = setting.threads;
  return engine::MakePrincipalComponents(spec, setting.data);
}

}  // namespace beamline::pipeline
