#include "engine/learners/linear.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::LinearLearner& fields, LearnerCheck& check) {
  check.Range("penalty", fields.penalty(), 0, 1e12);
  check.Range("max_iterations", fields.max_iterations(), 1, 100'000);
  check.Range("tolerance", fields.tolerance(), 1e-15, 1);
}

void CompleteFields(const LearnerFacts& facts, v1::LinearLearner* fields) {
  const bool classes = facts.task == LearnerTask::kClasses;
  if (!fields->has_penalty()) fields->set_penalty(classes ? 1 : 0);
  if (!classes) return;
  if (fields->max_iterations() == 0) fields->set_max_iterations(1000);
  if (fields->tolerance() == 0) fields->set_tolerance(1e-6);
}

double BytesOf(const v1::LinearLearner& /*fields*/, const LearnerFacts& facts) {
  const auto features = static_cast<double>(facts.features);
  const auto rows = static_cast<double>(facts.rows);
  if (facts.task != LearnerTask::kClasses) return 4 * features * rows + 16 * features * features;
  // Of two classes rows are there twice while the loss takes them.
  return (facts.classes == 2 ? 8 * features + 24 : 4 * features) * rows;
}

std::unique_ptr<engine::Learner> Make(const v1::LinearLearner& fields,
                                      const LearnerSetting& setting) {
  engine::LinearSpec spec;
  spec.penalty = fields.penalty();
  spec.max_iterations = fields.max_iterations();
  spec.tolerance = fields.tolerance();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeLinear(spec, setting.data);
}

}  // namespace beamline::pipeline
