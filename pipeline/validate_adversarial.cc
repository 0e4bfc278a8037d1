// Train steps with an adversarial learner.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "engine/learners/training_plan.h"
#include "pipeline/adversarial.h"
#include "pipeline/plan/training_estimate.h"
#include "pipeline/units.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// One of the two networks: `width` numbers in, `target.outputs` out; 0 where they are not known.
void CheckPart(Context& context, const std::string& path, const v1::AdversarialNetwork& network,
               int64_t width, const TargetFacts& target) {
  v1::TrainStep train;
  *train.mutable_network() = AsLearner(network);
  FeatureFacts features;
  features.features = width;
  CheckLayers(context, path, train, target, features);
  CheckOptimizer(context, path, train.network());
  CheckRange(context, path + ".clip_norm", network.clip_norm(), 1e-9, 1e9);
  CheckRange(context, path + ".clip_value", network.clip_value(), 1e-9, 1e9);
  if (network.schedule().has_plateau()) {
    context.errors.Add(path + ".schedule.plateau",
                       "no loss of adversarial training falls while things get better: choose "
                       "another schedule");
  }
  for (int i = 0; i < network.layers_size(); ++i) {
    const v1::Layer& layer = network.layers(i);
    if (!layer.has_latent() && !layer.has_activity_penalty()) continue;
    context.errors.Add(absl::StrCat(path, ".layers.", i),
                       "adds to a loss of its own, which adversarial networks do not have: remove "
                       "it");
  }
}

void CheckLinear(Context& context, const std::string& path,
                 const v1::AdversarialNetwork& discriminator) {
  if (discriminator.layers_size() == 0) return;
  const int last = discriminator.layers_size() - 1;
  const v1::Layer& layer = discriminator.layers(last);
  const v1::Activation activation =
      layer.has_activation() ? layer.activation().function() : layer.dense().activation();
  if (activation == v1::ACTIVATION_UNSPECIFIED || activation == v1::ACTIVATION_LINEAR) return;
  context.errors.Add(
      absl::StrCat(path, ".layers.", last, layer.has_dense() ? ".dense.activation" : ""),
      "the discriminator's last layer must be linear: the loss takes any number");
}

}  // namespace

void CheckGeneration(Context& context, const std::string& path, const v1::TrainingData& data) {
  if (!data.target().empty()) {
    context.errors.Add(
        path + ".target",
        absl::StrCat("must not be given with an adversarial learner: remove it, and "
                     "list \"",
                     data.target(), "\" in exclude if rows shall be generated without it"));
  }
  if (data.target_kind() != v1::TARGET_KIND_UNSPECIFIED) {
    context.errors.Add(path + ".target_kind",
                       "is for targets, but an adversarial learner has none: remove it");
  }
  if (data.objective() != v1::OBJECTIVE_UNSPECIFIED) {
    context.errors.Add(path + ".objective",
                       "is for networks that predict or reconstruct, but an adversarial learner "
                       "generates: remove it");
  }
  if (data.examples_case() != v1::TrainingData::EXAMPLES_NOT_SET) {
    context.unimplemented.Add(
        path + (data.has_windows() ? ".windows" : ".sequences"),
        "an adversarial learner generates single rows only so far: remove it");
  }
}

void CheckAdversarial(Context& context, const std::string& path, const v1::TrainStep& train,
                      const FeatureFacts& features) {
  const v1::AdversarialLearner& learner = train.adversarial();
  TargetFacts target;
  target.known = target.generates = true;
  target.outputs = features.features;
  target.outputs_why = absl::StrCat("a row has ", features.features, " features");
  const int64_t latent = learner.latent() > 0 ? learner.latent() : Complete(learner, 0).latent();
  CheckPart(context, path + ".generator", learner.generator(), latent, target);
  target.outputs = 1;
  target.outputs_why = "a row is judged by one number";
  CheckPart(context, path + ".discriminator", learner.discriminator(), features.features, target);
  CheckLinear(context, path + ".discriminator", learner.discriminator());
  CheckRange(context, path + ".discriminator_steps", learner.discriminator_steps(), 1, 1000);
  CheckRange(context, path + ".latent", learner.latent(), 1, 1 << 20);
  CheckRange(context, path + ".batch_size", learner.batch_size(), 1, 1 << 20);
  CheckRange(context, path + ".epochs", learner.epochs(), 1, 1'000'000);
  const double penalty = learner.gradient_penalty();
  if (!(penalty >= 0 && penalty <= 1e9)) {
    context.errors.Add(path + ".gradient_penalty", "must be from 0 to 1000000000");
  }
  if (learner.loss() == v1::ADVERSARIAL_LOSS_WASSERSTEIN && learner.has_gradient_penalty() &&
      penalty == 0) {
    context.errors.Add(path + ".gradient_penalty",
                       "must be above 0 with wasserstein, which has no bound without it: leave it "
                       "out");
  }
  if (features.code_columns > 0) {
    context.errors.Add(path, "codes cannot be generated: use one_hot in place of ordinal");
  }
}

void CheckAdversarialGraph(Context& context, const std::string& path, const v1::Step& step,
                           const FeatureFacts& features, const MemoryLimit& memory) {
  const v1::TrainStep& train = step.train();
  if (features.features == 0) return;
  if (context.findings != nullptr) {
    context.findings->trains[step.name()].network.features = features.features;
  }
  const v1::AdversarialLearner learner = Complete(train.adversarial(), features.features);
  const engine::BatchLayout layout = LayoutOf(features.features, !train.data().weight().empty());
  const ExampleCounts counts = CountsOf(context, step);
  try {
    engine::AdversarialSpec spec = ToAdversarialSpec(learner, features.features);
    spec.threads = ThreadsOf(step.resources());
    const int64_t rows = counts.train > 0 ? counts.train : spec.batch_size;
    const int64_t needed = engine::PlanTraining(spec, layout, rows, counts.validation).peak_bytes;
    if (needed <= memory.bytes) return;
    AddMemoryError(context, path, needed,
                   engine::FittingBatch(spec, layout, rows, counts.validation, memory.bytes),
                   memory);
  } catch (const engine::Error& error) {
    context.errors.Add(path, error.what());
  }
}

}  // namespace beamline::pipeline::validation
