#include "engine/learners/boltzmann.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::BoltzmannLearner& fields, LearnerCheck& check) {
  check.Range("hidden", fields.hidden(), 0, 10'000);
  check.Range("learning_rate", fields.learning_rate(), 1e-12, 1e6);
  check.Range("epochs", fields.epochs(), 1, 1'000'000);
  check.Range("batch_size", fields.batch_size(), 1, 1'000'000);
  check.Range("sweeps", fields.sweeps(), 1, 1000);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::BoltzmannLearner* fields) {
  if (fields->learning_rate() == 0) fields->set_learning_rate(0.01);
  if (fields->epochs() == 0) fields->set_epochs(10);
  if (fields->batch_size() == 0) fields->set_batch_size(32);
  if (fields->sweeps() == 0) fields->set_sweeps(1);
}

double BytesOf(const v1::BoltzmannLearner& fields, const LearnerFacts& facts) {
  const double units = fields.hidden() + static_cast<double>(facts.features);
  return 12 * units * units;
}

std::unique_ptr<engine::Learner> Make(const v1::BoltzmannLearner& fields,
                                      const LearnerSetting& setting) {
  engine::BoltzmannSpec spec;
  spec.hidden = fields.hidden();
  spec.learning_rate = fields.learning_rate();
  spec.epochs = fields.epochs();
  spec.batch_size = fields.batch_size();
  spec.sweeps = fields.sweeps();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeBoltzmann(spec, setting.data);
}

}  // namespace beamline::pipeline
