// Ten training steps, step by step beside PyTorch's (make_fixture.py).
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
constexpr int64_t kBatch = 16;

using testing::Recording;

struct Case {
  std::string name;
  Activation activation;
  int norm;  // 0 none, 1 batch, 2 layer
  LossSpec loss;
  OptimizerSpec optimizer;
  double clip_norm = 0;
  double clip_value = 0;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

std::vector<Case> Cases() {
  const auto loss = [](LossKind kind) {
    LossSpec spec;
    spec.kind = kind;
    spec.delta = 0.5;
    if (kind == LossKind::kCrossEntropy) spec.class_weights = {1, 2, 0.5};
    return spec;
  };
  const auto optimizer = [](OptimizerKind kind, double rate) {
    OptimizerSpec spec;
    spec.kind = kind;
    spec.learning_rate = rate;
    return spec;
  };
  OptimizerSpec adamw = optimizer(OptimizerKind::kAdamW, 0.01);
  adamw.weight_decay = 0.1;
  OptimizerSpec nesterov = optimizer(OptimizerKind::kSgd, 0.1);
  nesterov.momentum = 0.9;
  nesterov.nesterov = true;
  nesterov.weight_decay = 0.01;
  OptimizerSpec momentum = optimizer(OptimizerKind::kSgd, 0.05);
  momentum.momentum = 0.9;
  OptimizerSpec adagrad = optimizer(OptimizerKind::kAdaGrad, 0.05);
  adagrad.epsilon = 1e-10;
  OptimizerSpec lamb = optimizer(OptimizerKind::kLamb, 0.01);
  lamb.weight_decay = 0.1;
  OptimizerSpec split_lamb = optimizer(OptimizerKind::kLamb, 0.02);
  split_lamb.weight_decay = 0.3;
  split_lamb.decay_matrices_only = true;
  OptimizerSpec split_adamw = optimizer(OptimizerKind::kAdamW, 0.01);
  split_adamw.weight_decay = 0.2;
  split_adamw.decay_matrices_only = true;
  OptimizerSpec rmsprop = optimizer(OptimizerKind::kRmsProp, 0.003);
  rmsprop.momentum = 0.8;
  rmsprop.weight_decay = 0.05;
  OptimizerSpec decaying_adagrad = adagrad;
  decaying_adagrad.weight_decay = 0.1;
  return {
      {"adam_ce_relu", Activation::kRelu, 0, loss(LossKind::kCrossEntropy),
       optimizer(OptimizerKind::kAdam, 0.01)},
      {"adamw_bce_gelu_layernorm", Activation::kGelu, 2, loss(LossKind::kBinaryCrossEntropy),
       adamw},
      {"nesterov_bce_tanh_batchnorm", Activation::kTanh, 1, loss(LossKind::kBinaryCrossEntropy),
       nesterov},
      {"momentum_mse_selu_clip", Activation::kSelu, 0, loss(LossKind::kMeanSquaredError), momentum,
       0.5},
      {"rmsprop_huber_silu", Activation::kSilu, 0, loss(LossKind::kHuber),
       optimizer(OptimizerKind::kRmsProp, 0.003)},
      {"adagrad_mse_elu", Activation::kElu, 0, loss(LossKind::kMeanSquaredError), adagrad},
      {"lamb_ce_tanh", Activation::kTanh, 0, loss(LossKind::kCrossEntropy), lamb},
      {"lamb_mse_relu_split_decay", Activation::kRelu, 0, loss(LossKind::kMeanSquaredError),
       split_lamb},
      {"adamw_ce_relu_split_decay", Activation::kRelu, 0, loss(LossKind::kCrossEntropy),
       split_adamw},
      {"rmsprop_mse_tanh_momentum", Activation::kTanh, 0, loss(LossKind::kMeanSquaredError),
       rmsprop},
      {"adagrad_mse_tanh_value_clip", Activation::kTanh, 0, loss(LossKind::kMeanSquaredError),
       decaying_adagrad, 0, 0.05},
  };
}

NetworkSpec SpecOf(const Case& test) {
  NetworkSpec spec;
  spec.backend = testing::ParityBackend();
  const auto dense = [&](int index, int64_t units, Activation activation) {
    LayerSpec layer;
    layer.name = "dense" + std::to_string(index);
    layer.units = units;
    layer.activation = activation;
    spec.layers.push_back(layer);
  };
  dense(0, 16, test.activation);
  if (test.norm != 0) {
    LayerSpec norm;
    norm.name = "norm";
    norm.kind = test.norm == 1 ? LayerKind::kBatchNorm : LayerKind::kLayerNorm;
    spec.layers.push_back(norm);
  }
  dense(1, 8, test.activation);
  dense(2, 0, Activation::kLinear);
  spec.loss = test.loss;
  spec.optimizer = test.optimizer;
  spec.clip_norm = test.clip_norm;
  spec.clip_value = test.clip_value;
  return spec;
}

MemoryBatchSource SourceOf(const Case& test, const Recording& recording) {
  MemoryBatch batch;
  batch.rows = kRows;
  batch.layout.features = kFeatures;
  batch.layout.has_weights = true;
  batch.features = recording.at("features");
  batch.weights = recording.at("weights");
  const std::vector<float>& labels = recording.at("labels");
  const bool classes =
      test.loss.kind == LossKind::kCrossEntropy || test.loss.kind == LossKind::kBinaryCrossEntropy;
  if (classes) {
    batch.layout.classes = test.loss.kind == LossKind::kCrossEntropy ? 3 : 2;
    batch.labels.assign(labels.begin(), labels.end());
  } else {
    batch.layout.targets = 1;
    batch.targets = labels;
  }
  return MemoryBatchSource(std::move(batch));
}

class ParityTest : public ::testing::TestWithParam<Case> {};

TEST_P(ParityTest, FollowsPyTorchForTenSteps) {
  const Case& test = GetParam();
  static const std::map<std::string, Recording> kFixture = testing::ReadFixture("fixture.txt");
  const Recording& recording = kFixture.at(test.name);
  const NetworkSpec spec = SpecOf(test);
  const MemoryBatchSource source = SourceOf(test, recording);
  testing::ExpectTenSteps(recording, spec, source, kBatch, 6, {.loss = 2e-6, .weights = 2e-5f});
}

INSTANTIATE_TEST_SUITE_P(Cases, ParityTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace beamline::engine
