// Ten training steps of convolutional networks, step by step beside PyTorch's
// (make_conv_fixture.py).
#include <cmath>
#include <string>
#include <vector>

#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 24;
constexpr int64_t kBatch = 8;

using testing::Recording;

// Layers named by kind and number, as the fixture names them.
class Builder {
 public:
  LayerSpec& Add(LayerKind kind, const std::string& name) {
    spec_.layers.emplace_back();
    spec_.layers.back().kind = kind;
    spec_.layers.back().name = name + std::to_string(counts_[name]++);
    return spec_.layers.back();
  }
  LayerSpec& Conv(int64_t units, std::vector<int64_t> kernel, int64_t stride, int64_t pad,
                  Activation activation = Activation::kLinear, bool bias = true) {
    LayerSpec& layer = Add(LayerKind::kConv, "conv");
    layer.units = units;
    layer.kernel = std::move(kernel);
    layer.stride = {stride};
    layer.pad = {pad};
    layer.activation = activation;
    layer.bias = bias;
    return layer;
  }
  void Reshape(std::vector<int64_t> shape) {
    Add(LayerKind::kReshape, "reshape").shape = std::move(shape);
  }
  void Activate(Activation activation) {
    Add(LayerKind::kActivation, "activation").activation = activation;
  }
  void Norm() { Add(LayerKind::kBatchNorm, "norm"); }
  LayerSpec& Pool(LayerKind kind, int64_t size) {
    LayerSpec& layer = Add(kind, "pool");
    layer.kernel = {size};
    return layer;
  }
  void Dense() { Add(LayerKind::kDense, "dense"); }

  NetworkSpec& spec() { return spec_; }

 private:
  NetworkSpec spec_;
  std::map<std::string, int> counts_;
};

void SmallLenet(Builder& b) {
  b.Reshape({8, 8, 1});
  b.Conv(4, {3}, 1, 1, Activation::kRelu);
  b.Pool(LayerKind::kMaxPool, 2);
  b.Conv(6, {3}, 2, 1, Activation::kLinear, false);
  b.Norm();
  b.Activate(Activation::kTanh);
  b.Reshape({});
  b.Dense();
}

void SmallResnet(Builder& b) {
  b.Reshape({6, 6, 3});
  b.Conv(8, {3}, 1, 1, Activation::kLinear, false);
  b.Norm();
  b.Activate(Activation::kRelu);
  LayerSpec& dilated = b.Conv(8, {3}, 1, 2);
  dilated.dilation = {2};
  dilated.groups = 2;
  b.Add(LayerKind::kGroupNorm, "group").groups = 4;
  b.Add(LayerKind::kAdd, "residual").inputs = {"activation0", "group0"};
  b.Activate(Activation::kRelu);
  b.Conv(6, {3, 4}, 2, 1, Activation::kLinear, false);
  b.Norm();
  b.Activate(Activation::kRelu);
  LayerSpec& pool = b.Pool(LayerKind::kAveragePool, 3);
  pool.stride = {2};
  pool.padding = Padding::kSame;
  b.Add(LayerKind::kGlobalPool, "mean");
  b.Dense();
}

void Decoder(Builder& b) {
  b.Reshape({3, 3, 4});
  b.Conv(6, {4}, 2, 1, Activation::kRelu).kind = LayerKind::kConvTranspose;
  LayerSpec& dilated = b.Conv(4, {3}, 1, 0, Activation::kSilu);
  dilated.kind = LayerKind::kConvTranspose;
  dilated.dilation = {2};
  dilated.groups = 2;
  b.Conv(2, {5}, 3, 0, Activation::kRelu);
  b.Reshape({});
  b.Dense();
}

void Sequence(Builder& b) {
  b.Reshape({12, 3});
  b.Conv(8, {3}, 1, 1);
  b.Norm();
  b.Activate(Activation::kGelu);
  b.Pool(LayerKind::kMaxPool, 2);
  LayerSpec& depthwise = b.Conv(8, {3}, 1, 2, Activation::kRelu);
  depthwise.dilation = {2};
  depthwise.groups = 8;
  b.Add(LayerKind::kGlobalPool, "largest").reduction = Reduction::kMax;
  b.Dense();
}

struct Case {
  const char* name;
  void (*build)(Builder&);
  OptimizerKind optimizer;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class ConvParityTest : public ::testing::TestWithParam<Case> {};

NetworkSpec SpecOf(const Case& test) {
  Builder builder;
  test.build(builder);
  NetworkSpec spec = std::move(builder.spec());
  spec.backend = testing::ParityBackend();
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = test.optimizer;
  if (test.optimizer == OptimizerKind::kSgd) {
    spec.optimizer.learning_rate = 0.05;
    spec.optimizer.momentum = 0.9;
    spec.optimizer.weight_decay = 1e-4;
  }
  return spec;
}

TEST_P(ConvParityTest, FollowsPyTorchForTenSteps) {
  static const std::map<std::string, Recording> kFixture = testing::ReadFixture("conv_fixture.txt");
  const Recording& recording = kFixture.at(GetParam().name);
  const NetworkSpec spec = SpecOf(GetParam());
  MemoryBatch batch;
  batch.rows = kRows;
  batch.features = recording.at("features");
  batch.layout.features = static_cast<int64_t>(batch.features.size()) / kRows;
  batch.layout.classes = 3;
  const std::vector<float>& labels = recording.at("labels");
  batch.labels.assign(labels.begin(), labels.end());
  const MemoryBatchSource source(std::move(batch));
  testing::ExpectTenSteps(recording, spec, source, kBatch, 8);
}

INSTANTIATE_TEST_SUITE_P(Cases, ConvParityTest,
                         ::testing::Values(Case{"small_lenet", SmallLenet, OptimizerKind::kAdam},
                                           Case{"small_resnet", SmallResnet, OptimizerKind::kSgd},
                                           Case{"decoder", Decoder, OptimizerKind::kAdam},
                                           Case{"sequence", Sequence, OptimizerKind::kSgd}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace beamline::engine
