#include "engine/learners/restricted_boltzmann.h"

#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::RestrictedBoltzmannLearner& fields, LearnerCheck& check) {
  check.Count("hidden", fields.hidden(), 65'536, 0, "");
  check.Range("gibbs_steps", fields.gibbs_steps(), 1, 1000);
  check.Range("learning_rate", fields.learning_rate(), 1e-12, 1e6);
  check.Range("epochs", fields.epochs(), 1, 1'000'000);
  check.Range("batch_size", fields.batch_size(), 1, 1'000'000);
  if (!(fields.momentum() >= 0 && fields.momentum() < 1))
    check.Add("momentum", "must be in [0, 1)");
  check.Range("weight_decay", fields.weight_decay(), 0, 1e6);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::RestrictedBoltzmannLearner* fields) {
  if (fields->visible() == v1::RestrictedBoltzmannLearner::VISIBLE_UNSPECIFIED) {
    fields->set_visible(v1::RestrictedBoltzmannLearner::VISIBLE_BINARY);
  }
  const bool gaussian = fields->visible() == v1::RestrictedBoltzmannLearner::VISIBLE_GAUSSIAN;
  if (fields->gibbs_steps() == 0) fields->set_gibbs_steps(1);
  if (fields->learning_rate() == 0) fields->set_learning_rate(gaussian ? 0.001 : 0.1);
  if (fields->epochs() == 0) fields->set_epochs(10);
  if (fields->batch_size() == 0) fields->set_batch_size(32);
}

double BytesOf(const v1::RestrictedBoltzmannLearner& fields, const LearnerFacts& facts) {
  const double copies = fields.momentum() > 0 ? 4 : 3;  // weights, two phases, velocities
  return 4 * copies * static_cast<double>(facts.features) * fields.hidden();
}

std::unique_ptr<engine::Learner> Make(const v1::RestrictedBoltzmannLearner& fields,
                                      const LearnerSetting& setting) {
  engine::RestrictedBoltzmannSpec spec;
  spec.hidden = fields.hidden();
  if (fields.visible() == v1::RestrictedBoltzmannLearner::VISIBLE_GAUSSIAN) {
    spec.visible = engine::VisibleUnits::kGaussian;
  }
  spec.gibbs_steps = fields.gibbs_steps();
  spec.persistent = fields.persistent();
  spec.learning_rate = fields.learning_rate();
  spec.epochs = fields.epochs();
  spec.batch_size = fields.batch_size();
  spec.momentum = fields.momentum();
  spec.weight_decay = fields.weight_decay();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeRestrictedBoltzmann(spec, setting.data);
}

}  // namespace beamline::pipeline
