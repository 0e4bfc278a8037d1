// Ten training steps of capsule networks, step by step beside PyTorch's (make_capsule_fixture.py).
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "engine/learners/network_runner.h"
#include "engine/optim/optimizer.h"
#include "tests/engine/parity/recording.h"

namespace beamline::engine {
namespace {

constexpr int64_t kRows = 24;
constexpr int64_t kBatch = 8;
constexpr int64_t kSide = 7;

using testing::Recording;

LayerSpec Layer(LayerKind kind, const std::string& name) {
  LayerSpec layer;
  layer.kind = kind;
  layer.name = name;
  return layer;
}

LayerSpec Capsules(const std::string& name, int64_t capsules, int64_t dimension,
                   int64_t iterations) {
  LayerSpec layer = Layer(LayerKind::kCapsules, name);
  layer.capsules = capsules;
  layer.dimension = dimension;
  layer.iterations = iterations;
  return layer;
}

// A convolution and primary capsules, as both cases have them, then `capsules`.
NetworkSpec SpecOf(const std::vector<LayerSpec>& capsules) {
  NetworkSpec spec;
  LayerSpec image = Layer(LayerKind::kReshape, "image");
  image.shape = {kSide, kSide, 1};
  LayerSpec conv = Layer(LayerKind::kConv, "conv");
  conv.units = 4;
  conv.kernel = {3};
  conv.activation = Activation::kRelu;
  LayerSpec primary = Capsules("primary", 2, 4, 1);
  primary.kind = LayerKind::kPrimaryCapsules;
  primary.kernel = {3};
  primary.stride = {2};
  spec.layers = {image, conv, primary};
  spec.layers.insert(spec.layers.end(), capsules.begin(), capsules.end());
  spec.layers.push_back(Layer(LayerKind::kCapsuleLength, "length"));
  spec.backend = testing::ParityBackend();
  spec.loss.kind = LossKind::kMargin;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  return spec;
}

void FollowPyTorch(const char* name, const NetworkSpec& spec) {
  const std::map<std::string, Recording> fixture = testing::ReadFixture("capsule_fixture.txt");
  const Recording& recording = fixture.at(name);
  MemoryBatch batch;
  batch.rows = kRows;
  batch.features = recording.at("features");
  batch.layout.features = kSide * kSide;
  batch.layout.classes = 3;
  const std::vector<float>& labels = recording.at("labels");
  batch.labels.assign(labels.begin(), labels.end());
  const MemoryBatchSource source(std::move(batch));
  testing::ExpectTenSteps(recording, spec, source, kBatch, 5);
}

TEST(CapsuleParityTest, OneLayerFollowsPyTorchForTenSteps) {
  FollowPyTorch("one_layer", SpecOf({Capsules("capsules0", 3, 6, 3)}));
}

TEST(CapsuleParityTest, TwoLayersFollowPyTorchForTenSteps) {
  FollowPyTorch("two_layers",
                SpecOf({Capsules("capsules0", 5, 6, 2), Capsules("capsules1", 3, 4, 4)}));
}

}  // namespace
}  // namespace beamline::engine
