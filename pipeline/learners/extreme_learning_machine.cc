#include "engine/learners/extreme_learning_machine.h"

#include "absl/strings/str_cat.h"
#include "pipeline/learners/kinds.h"

namespace beamline::pipeline {

void CheckFields(const v1::ExtremeLearner& fields, LearnerCheck& check) {
  check.Count("hidden", fields.hidden(), 65'536, 0, "");
  const std::string& activation = fields.activation();
  if (!activation.empty() && activation != "tanh" && activation != "sigmoid" &&
      activation != "relu") {
    check.Add("activation", absl::StrCat("\"", activation, "\" is not tanh, sigmoid or relu"));
  }
  check.Range("penalty", fields.penalty(), 0, 1e12);
  check.Range("scale", fields.scale(), 1e-12, 1e12);
}

void CompleteFields(const LearnerFacts& /*facts*/, v1::ExtremeLearner* fields) {
  if (fields->activation().empty()) fields->set_activation("tanh");
  if (!fields->has_penalty()) fields->set_penalty(1e-3);
  if (fields->scale() == 0) fields->set_scale(1);
}

double BytesOf(const v1::ExtremeLearner& fields, const LearnerFacts& facts) {
  const double hidden = fields.hidden();
  return 8 * hidden * hidden + 4 * hidden * static_cast<double>(facts.features);
}

std::unique_ptr<engine::Learner> Make(const v1::ExtremeLearner& fields,
                                      const LearnerSetting& setting) {
  engine::ExtremeLearningSpec spec;
  spec.hidden = fields.hidden();
  spec.activation = fields.activation() == "sigmoid" ? engine::Activation::kSigmoid
                    : fields.activation() == "relu"  ? engine::Activation::kRelu
                                                     : engine::Activation::kTanh;
  spec.penalty = fields.penalty();
  spec.scale = fields.scale();
  spec.seed = setting.seed;
  spec.threads = setting.threads;
  return engine::MakeExtremeLearningMachine(spec, setting.data);
}

}  // namespace beamline::pipeline
