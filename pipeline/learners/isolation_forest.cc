#include "engine/learners/isolation_forest.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::IsolationForestLearner& fields, LearnerCheck& check) {
  check.Range("trees", fields.trees(), 1, 10'000);
  check.Range("rows", fields.rows(), 2, 65'536);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::IsolationForestLearner* fields) {
  if (fields->trees() == 0) fields->set_trees(100);
  if (fields->rows() == 0) fields->set_rows(256);
}

double BytesOf(const v1::IsolationForestLearner& fields, const LearnerFacts& facts) {
  return fields.rows() * (48.0 * fields.trees() + 4.0 * static_cast<double>(facts.features));
}

std::unique_ptr<engine::Learner> Make(const v1::IsolationForestLearner& fields,
                                      const LearnerSetting& setting) {
  engine::IsolationForestSpec spec;
  spec.trees = fields.trees();
  spec.rows = fields.rows();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeIsolationForest(spec, setting.data);
}

}  // namespace beamline::pipeline
