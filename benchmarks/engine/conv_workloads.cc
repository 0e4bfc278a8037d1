#include "benchmarks/engine/conv_workloads.h"

#include <string>
#include <utility>
#include <vector>

namespace beamline::engine {
namespace {

class Builder {
 public:
  explicit Builder(std::vector<int64_t> image) { Reshape(std::move(image)); }

  LayerSpec& Add(LayerKind kind, const std::string& name, std::vector<std::string> inputs = {}) {
    LayerSpec& layer = spec_.layers.emplace_back();
    layer.kind = kind;
    layer.name = name;
    layer.inputs = std::move(inputs);
    return layer;
  }

  void Reshape(std::vector<int64_t> shape) {
    Add(LayerKind::kReshape, "reshape" + std::to_string(spec_.layers.size())).shape =
        std::move(shape);
  }

  LayerSpec& Conv(const std::string& name, int64_t units, int64_t kernel, int64_t stride,
                  int64_t pad, std::vector<std::string> inputs = {}) {
    LayerSpec& layer = Add(LayerKind::kConv, name, std::move(inputs));
    layer.units = units;
    layer.kernel = {kernel};
    layer.stride = {stride};
    layer.pad = {pad};
    return layer;
  }

  void Relu(const std::string& name) {
    Add(LayerKind::kActivation, name).activation = Activation::kRelu;
  }

  void Dense(const std::string& name, int64_t units, Activation activation) {
    LayerSpec& layer = Add(LayerKind::kDense, name);
    layer.units = units;
    layer.activation = activation;
  }

  // Two convolutions with a shortcut; the name of the block's output.
  std::string Block(const std::string& name, const std::string& x, int64_t units, int64_t stride,
                    bool project) {
    Conv(name + ".conv1", units, 3, stride, 1, {x}).bias = false;
    Add(LayerKind::kBatchNorm, name + ".norm1");
    Relu(name + ".relu1");
    Conv(name + ".conv2", units, 3, 1, 1).bias = false;
    Add(LayerKind::kBatchNorm, name + ".norm2");
    std::string shortcut = x;
    if (project) {
      Conv(name + ".project", units, 1, stride, 0, {x}).bias = false;
      shortcut = name + ".norm3";
      Add(LayerKind::kBatchNorm, shortcut);
    }
    Add(LayerKind::kAdd, name + ".sum", {name + ".norm2", shortcut});
    Relu(name + ".relu2");
    return name + ".relu2";
  }

  NetworkSpec Finish() {
    spec_.layers.emplace_back().name = "head";
    spec_.loss.kind = LossKind::kCrossEntropy;
    spec_.epochs = 1'000'000;
    return std::move(spec_);
  }

 private:
  NetworkSpec spec_;
};

}  // namespace

NetworkSpec Lenet5() {
  Builder b({28, 28, 1});
  b.Conv("conv1", 6, 5, 1, 2).activation = Activation::kRelu;
  b.Add(LayerKind::kMaxPool, "pool1").kernel = {2};
  b.Conv("conv2", 16, 5, 1, 0).activation = Activation::kRelu;
  b.Add(LayerKind::kMaxPool, "pool2").kernel = {2};
  b.Reshape({});
  b.Dense("dense1", 120, Activation::kRelu);
  b.Dense("dense2", 84, Activation::kRelu);
  NetworkSpec spec = b.Finish();
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.001;
  spec.batch_size = 64;
  return spec;
}

NetworkSpec Resnet20() {
  Builder b({32, 32, 3});
  b.Conv("stem", 16, 3, 1, 1).bias = false;
  b.Add(LayerKind::kBatchNorm, "stem.norm");
  b.Relu("stem.relu");
  std::string x = "stem.relu";
  for (int stage = 0; stage < 3; ++stage) {
    for (int block = 0; block < 3; ++block) {
      const bool first = stage > 0 && block == 0;
      x = b.Block("block" + std::to_string(3 * stage + block), x, int64_t{16} << stage,
                  first ? 2 : 1, first);
    }
  }
  b.Add(LayerKind::kGlobalPool, "mean");
  NetworkSpec spec = b.Finish();
  spec.optimizer.learning_rate = 0.05;
  spec.optimizer.momentum = 0.9;
  spec.optimizer.weight_decay = 1e-4;
  spec.batch_size = 128;
  return spec;
}

}  // namespace beamline::engine
