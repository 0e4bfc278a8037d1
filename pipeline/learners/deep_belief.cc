#include "engine/learners/deep_belief.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::DeepBeliefLearner& fields, LearnerCheck& check) {
  if (fields.hidden_size() < 1 || fields.hidden_size() > 100) {
    check.Add("hidden", "needs the units of 1 to 100 layers");
  }
  for (int i = 0; i < fields.hidden_size(); ++i) {
    check.Range(absl::StrCat("hidden.", i), fields.hidden(i), 1, 65'536, false);
  }
  check.Range("pretraining_epochs", fields.pretraining_epochs(), 0, 1'000'000);
  check.Range("pretraining_rate", fields.pretraining_rate(), 1e-12, 1e6);
  check.Range("epochs", fields.epochs(), 1, 1'000'000);
  check.Range("learning_rate", fields.learning_rate(), 1e-12, 1e6);
  check.Range("batch_size", fields.batch_size(), 1, 1'000'000);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::DeepBeliefLearner* fields) {
  if (fields->visible() == v1::RestrictedBoltzmannLearner::VISIBLE_UNSPECIFIED) {
    fields->set_visible(v1::RestrictedBoltzmannLearner::VISIBLE_BINARY);
  }
  if (!fields->has_pretraining_epochs()) fields->set_pretraining_epochs(10);
  if (fields->pretraining_rate() == 0) fields->set_pretraining_rate(0.1);
  if (fields->epochs() == 0) fields->set_epochs(10);
  if (fields->learning_rate() == 0) fields->set_learning_rate(0.001);
  if (fields->batch_size() == 0) fields->set_batch_size(32);
}

double BytesOf(const v1::DeepBeliefLearner& fields, const LearnerFacts& facts) {
  // Weights, gradients and two moments of Adam; what the widest layer but the last says of rows.
  double bytes = 0, widest = 0;
  auto width = static_cast<double>(facts.features);
  for (int i = 0; i < fields.hidden_size(); ++i) {
    bytes += 16 * width * fields.hidden(i);
    width = fields.hidden(i);
    if (i + 1 < fields.hidden_size()) widest = std::max(widest, width);
  }
  const bool machines = fields.pretraining_epochs() > 0;
  return bytes + (machines ? 4 * widest * static_cast<double>(facts.rows) : 0);
}

std::unique_ptr<engine::Learner> Make(const v1::DeepBeliefLearner& fields,
                                      const LearnerSetting& setting) {
  engine::DeepBeliefSpec spec;
  spec.hidden.assign(fields.hidden().begin(), fields.hidden().end());
  if (fields.visible() == v1::RestrictedBoltzmannLearner::VISIBLE_GAUSSIAN) {
    spec.visible = engine::VisibleUnits::kGaussian;
  }
  spec.pretraining_epochs = fields.pretraining_epochs();
  spec.pretraining_rate = fields.pretraining_rate();
  spec.epochs = fields.epochs();
  spec.learning_rate = fields.learning_rate();
  spec.batch_size = fields.batch_size();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeDeepBelief(spec, setting.data);
}

}  // namespace beamline::pipeline
