// Ten training steps of autoencoders, step by step beside PyTorch's (make_autoencoders.py): the
// evidence lower bound and its gradient, sparsity, penalties.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 80;
constexpr int64_t kFeatures = 6;
constexpr int64_t kCode = 3;
constexpr int64_t kBatch = 16;
constexpr uint64_t kSeed = 123456789123;

using testing::Recording;

// features -> 16 -> code -> 16 -> features
NetworkSpec SpecOf(const std::string& name) {
  NetworkSpec spec;
  spec.backend = testing::ParityBackend();
  const auto layer = [&](LayerKind kind, const std::string& called) -> LayerSpec& {
    spec.layers.push_back({});
    spec.layers.back().kind = kind;
    spec.layers.back().name = called;
    return spec.layers.back();
  };
  const auto dense = [&](int index, int64_t units, Activation activation) {
    LayerSpec& added = layer(LayerKind::kDense, "dense" + std::to_string(index));
    added.units = units;
    added.activation = activation;
  };
  const bool variational = name.starts_with("variational");
  const bool by_target = name == "sparse_bce";
  dense(0, 16, Activation::kTanh);
  dense(1, variational ? 2 * kCode : kCode, by_target ? Activation::kSigmoid : Activation::kLinear);
  if (variational) layer(LayerKind::kLatent, "code").beta = name.ends_with("beta") ? 0.3 : 1;
  if (name.starts_with("sparse")) {
    LayerSpec& penalty = layer(LayerKind::kActivityPenalty, "penalty");
    penalty.sparsity_weight = by_target ? 0.2 : 0;
    penalty.sparsity_target = 0.1;
    penalty.l1 = by_target ? 0 : 0.05;
  }
  dense(2, 16, Activation::kTanh);
  dense(3, 0, Activation::kLinear);
  spec.objective = Objective::kReconstruct;
  if (name.find("bce") != std::string::npos) spec.loss.kind = LossKind::kBinaryCrossEntropy;
  if (name.ends_with("penalty")) {
    spec.weight_l1 = 0.001;
    spec.weight_l2 = 0.01;
  }
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.seed = kSeed;
  return spec;
}

class AutoencoderTest : public ::testing::TestWithParam<std::string> {};

TEST_P(AutoencoderTest, FollowsPyTorchForTenSteps) {
  static const std::map<std::string, Recording> kFixture = testing::ReadFixture("autoencoders.txt");
  const Recording& recording = kFixture.at(GetParam());
  const NetworkSpec spec = SpecOf(GetParam());
  MemoryBatch batch;
  batch.rows = kRows;
  batch.layout.features = kFeatures;
  batch.layout.has_weights = true;
  batch.features = recording.at("features");
  batch.weights = recording.at("weights");
  const MemoryBatchSource source(std::move(batch));
  Variables variables;
  ThreadPool pool(2);
  NetworkRunner runner(spec, source.layout(), kBatch, NetworkMode::kTraining, &variables, &pool);
  for (const auto& [key, values] : recording) {
    if (!key.starts_with("initial:")) continue;
    const std::span<float> to = variables.Get(key.substr(8)).values<float>();
    ASSERT_EQ(to.size(), values.size()) << key;
    std::copy(values.begin(), values.end(), to.begin());
  }
  const std::vector<float>& losses = recording.at("losses");
  for (size_t step = 0; step < losses.size(); ++step) {
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < kBatch; ++i) {
      rows.push_back(i + static_cast<int64_t>(step) * kBatch % kRows);
    }
    runner.Feed(source, rows);
    runner.SetUpdate(UpdateNumbers(spec.optimizer, 0.01, static_cast<int64_t>(step)));
    runner.Run(step);
    EXPECT_NEAR(runner.loss(), losses[step], 3e-6 * (1 + std::abs(losses[step]))) << step;
    const float main = recording.at("main_losses")[step];
    EXPECT_NEAR(runner.main_loss(), main, 3e-6 * (1 + std::abs(main))) << step;
  }
  for (const auto& [key, values] : recording) {
    if (!key.starts_with("final:")) continue;
    const std::span<float> got = variables.Get(key.substr(6)).values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(got[i], values[i], 3e-5 * (1 + std::abs(values[i]))) << key << "[" << i << "]";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AutoencoderTest,
                         ::testing::Values("variational_bce", "variational_mse_beta", "sparse_bce",
                                           "sparse_mse_l1", "plain_mse_penalty"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace beamline::engine
