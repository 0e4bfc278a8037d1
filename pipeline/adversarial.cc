#include "pipeline/adversarial.h"

#include <numeric>
#include <span>

#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "pipeline/network.h"
#include "pipeline/reconstruction.h"

namespace beamline::pipeline {
namespace {

static_assert(static_cast<int>(engine::AdversarialLoss::kNonSaturating) ==
              v1::ADVERSARIAL_LOSS_NON_SATURATING - 1);
static_assert(static_cast<int>(engine::AdversarialLoss::kWasserstein) ==
              v1::ADVERSARIAL_LOSS_WASSERSTEIN - 1);

constexpr int32_t kDefaultLatent = 64;
constexpr int32_t kDefaultBatchSize = 64;
// Gulrajani et al. 2017.
constexpr double kWassersteinPenalty = 10;
constexpr int32_t kWassersteinSteps = 5;

void CompleteNetwork(int64_t outputs, v1::AdversarialNetwork* network) {
  for (int i = 0; i < network->layers_size(); ++i) {
    v1::Layer& layer = *network->mutable_layers(i);
    if (layer.name().empty()) layer.set_name(absl::StrCat("layer", i));
  }
  if (network->layers_size() > 0) {
    v1::Layer& last = *network->mutable_layers(network->layers_size() - 1);
    if (last.has_dense() && last.dense().units() == 0) {
      last.mutable_dense()->set_units(static_cast<int32_t>(outputs));
    }
  }
  if (network->optimizer().kind_case() == v1::Optimizer::KIND_NOT_SET) {
    network->mutable_optimizer()->mutable_adam();
  }
}

// Rows that exist by their number alone.
class NumberedRows : public engine::BatchSource {
 public:
  NumberedRows(int64_t rows, const engine::BatchLayout& layout) : rows_(rows), layout_(layout) {}
  int64_t rows() const override { return rows_; }
  const engine::BatchLayout& layout() const override { return layout_; }
  void Gather(std::span<const int64_t>, const engine::BatchView&) const override {
    engine::Fail("samples are made from their numbers: there are no rows to read");
  }

 private:
  int64_t rows_;
  engine::BatchLayout layout_;
};

}  // namespace

v1::NetworkLearner AsLearner(const v1::AdversarialNetwork& network) {
  v1::NetworkLearner learner;
  *learner.mutable_layers() = network.layers();
  *learner.mutable_optimizer() = network.optimizer();
  *learner.mutable_schedule() = network.schedule();
  learner.set_clip_norm(network.clip_norm());
  learner.set_clip_value(network.clip_value());
  return learner;
}

v1::AdversarialLearner Complete(const v1::AdversarialLearner& adversarial, int64_t features) {
  v1::AdversarialLearner complete = adversarial;
  if (complete.loss() == v1::ADVERSARIAL_LOSS_UNSPECIFIED) {
    complete.set_loss(v1::ADVERSARIAL_LOSS_NON_SATURATING);
  }
  const bool wasserstein = complete.loss() == v1::ADVERSARIAL_LOSS_WASSERSTEIN;
  if (!complete.has_gradient_penalty()) {
    complete.set_gradient_penalty(wasserstein ? kWassersteinPenalty : 0);
  }
  if (complete.discriminator_steps() == 0) {
    complete.set_discriminator_steps(wasserstein ? kWassersteinSteps : 1);
  }
  if (complete.latent() == 0) complete.set_latent(kDefaultLatent);
  if (complete.batch_size() == 0) complete.set_batch_size(kDefaultBatchSize);
  if (complete.epochs() == 0) complete.set_epochs(kDefaultEpochs);
  CompleteNetwork(features, complete.mutable_generator());
  CompleteNetwork(1, complete.mutable_discriminator());
  return complete;
}

engine::AdversarialSpec ToAdversarialSpec(const v1::AdversarialLearner& adversarial,
                                          int64_t features) {
  NetworkFacts facts;
  facts.features = features;
  engine::AdversarialSpec spec;
  spec.generator = ToNetworkSpec(AsLearner(adversarial.generator()), facts);
  spec.discriminator = ToNetworkSpec(AsLearner(adversarial.discriminator()), facts);
  spec.loss = static_cast<engine::AdversarialLoss>(adversarial.loss() - 1);
  spec.gradient_penalty = adversarial.gradient_penalty();
  spec.discriminator_steps = adversarial.discriminator_steps();
  spec.latent = adversarial.latent();
  spec.batch_size = adversarial.batch_size();
  spec.epochs = adversarial.epochs();
  return spec;
}

engine::BatchLayout LayoutOf(int64_t features, bool has_weights) {
  engine::BatchLayout layout;
  layout.features = features;
  layout.has_weights = has_weights;
  return layout;
}

std::vector<v1::Prediction> DrawSamples(engine::Learner& generator, int64_t first, int64_t count,
                                        const engine::BatchLayout& layout,
                                        const engine::data::FittedTransforms& transforms) {
  const NumberedRows source(first + count, layout);
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  const engine::Predictions drawn = generator.Predict(source, rows);
  const std::span<const float> numbers = drawn.outputs.values<float>();
  const auto width = static_cast<size_t>(layout.features);
  std::vector<v1::Prediction> samples;
  for (size_t i = 0; i < rows.size(); ++i) {
    v1::Prediction& sample = samples.emplace_back();
    for (const double number : InColumnScale(transforms, numbers.subspan(i * width, width))) {
      sample.add_sample(number);
    }
  }
  return samples;
}

}  // namespace beamline::pipeline
