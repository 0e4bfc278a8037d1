// Ten alternating steps of a discriminator and a generator, step by step beside PyTorch's
// (make_adversarial.py).
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "engine/learners/adversarial_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 80;
constexpr int64_t kFeatures = 5;
constexpr int64_t kLatent = 3;
constexpr int64_t kBatch = 16;

using testing::Recording;

struct Case {
  std::string name;
  AdversarialLoss loss;
  Activation activation;  // of the discriminator
  std::optional<LayerKind> generator_norm;
  std::optional<LayerKind> discriminator_norm;
  double gradient_penalty;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

std::vector<Case> Cases() {
  constexpr std::optional<LayerKind> kNone;
  constexpr std::optional<LayerKind> kBatchNorm = LayerKind::kBatchNorm;
  return {
      {"dense_adam", AdversarialLoss::kNonSaturating, Activation::kLeakyRelu, kBatchNorm, kNone, 0},
      {"both_norms", AdversarialLoss::kNonSaturating, Activation::kLeakyRelu, kBatchNorm,
       kBatchNorm, 0},
      {"least_squares", AdversarialLoss::kLeastSquares, Activation::kTanh, kBatchNorm, kNone, 0},
      {"hinge", AdversarialLoss::kHinge, Activation::kLeakyRelu, kNone, kNone, 0},
      {"wasserstein_leaky", AdversarialLoss::kWasserstein, Activation::kLeakyRelu, kBatchNorm,
       kNone, 10},
      {"wasserstein_tanh", AdversarialLoss::kWasserstein, Activation::kTanh, kNone, kNone, 10},
      {"wasserstein_silu", AdversarialLoss::kWasserstein, Activation::kSilu, kNone, kNone, 3},
      {"wasserstein_layernorm", AdversarialLoss::kWasserstein, Activation::kTanh, kNone,
       LayerKind::kLayerNorm, 10},
  };
}

std::vector<LayerSpec> Layers(Activation activation, std::optional<LayerKind> norm) {
  std::vector<LayerSpec> layers;
  const auto dense = [&](int index, int64_t units, Activation follows) {
    LayerSpec layer;
    layer.name = "dense" + std::to_string(index);
    layer.units = units;
    layer.activation = follows;
    layers.push_back(layer);
  };
  dense(0, 12, activation);
  if (norm.has_value()) {
    LayerSpec layer;
    layer.name = "norm";
    layer.kind = *norm;
    layers.push_back(layer);
  }
  dense(1, 12, activation);
  dense(2, 0, Activation::kLinear);
  return layers;
}

AdversarialSpec SpecOf(const Case& test) {
  AdversarialSpec spec;
  spec.backend = testing::ParityBackend();
  spec.loss = test.loss;
  spec.gradient_penalty = test.gradient_penalty;
  spec.latent = kLatent;
  spec.generator.layers = Layers(Activation::kRelu, test.generator_norm);
  spec.discriminator.layers = Layers(test.activation, test.discriminator_norm);
  OptimizerSpec optimizer;
  if (test.loss == AdversarialLoss::kLeastSquares || test.name == "both_norms") {
    optimizer.learning_rate = 0.05;
    optimizer.momentum = 0.9;
  } else {
    optimizer.kind = OptimizerKind::kAdam;
    optimizer.beta1 = 0.5;
    optimizer.beta2 = 0.9;
  }
  spec.generator.optimizer = spec.discriminator.optimizer = optimizer;
  return spec;
}

class AdversarialParityTest : public ::testing::TestWithParam<Case> {};

TEST_P(AdversarialParityTest, FollowsPyTorchForTenSteps) {
  static const std::map<std::string, Recording> kFixture = testing::ReadFixture("adversarial.txt");
  const Recording& recording = kFixture.at(GetParam().name);
  const AdversarialSpec spec = SpecOf(GetParam());
  MemoryBatch batch;
  batch.rows = kRows;
  batch.layout.features = kFeatures;
  batch.features = recording.at("features");
  const MemoryBatchSource source(std::move(batch));
  Variables variables;
  ThreadPool pool(2);
  const auto make = [&](AdversarialMode mode) {
    return AdversarialRunner(spec, source.layout(), kBatch, mode, LatentSource::kGiven, &variables,
                             &pool);
  };
  AdversarialRunner discriminator = make(AdversarialMode::kDiscriminatorStep);
  AdversarialRunner generator = make(AdversarialMode::kGeneratorStep);
  EXPECT_GE(testing::LoadInitial(recording, &variables), 12);
  const std::span<const float> latent = recording.at("latent");
  const std::span<const float> shares = recording.at("shares");
  const auto near = [](double got, float expected, size_t step) {
    EXPECT_NEAR(got, expected, 3e-6 * (1 + std::abs(expected))) << step;
  };
  for (size_t step = 0; step < recording.at("losses").size(); ++step) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < kBatch; ++i) {
      rows.push_back(i + static_cast<int64_t>(step) * kBatch % kRows);
    }
    constexpr size_t kNumbers = kBatch * kLatent;
    const bool penalised = spec.gradient_penalty > 0;
    const auto numbers =
        UpdateNumbers(spec.generator.optimizer, spec.generator.optimizer.learning_rate,
                      static_cast<int64_t>(step));
    discriminator.Feed(source, rows);
    discriminator.SetLatent(
        latent.subspan(2 * step * kNumbers, kNumbers),
        penalised ? shares.subspan(step * kBatch, kBatch) : std::span<const float>());
    discriminator.SetUpdate(numbers);
    discriminator.Run(2 * step);
    near(discriminator.loss(), recording.at("losses")[step], step);
    near(discriminator.main_loss(), recording.at("main_losses")[step], step);
    generator.SetLatent(latent.subspan((2 * step + 1) * kNumbers, kNumbers), {});
    generator.SetUpdate(numbers);
    generator.Run(2 * step + 1);
    near(generator.loss(), recording.at("generator_losses")[step], step);
  }
  testing::ExpectFinal(recording, &variables, 2e-5f);
}

INSTANTIATE_TEST_SUITE_P(Cases, AdversarialParityTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace beamline::engine
