#include "benchmarks/engine/graph_workloads.h"

#include <memory>

#include "engine/core/philox.h"

namespace beamline::engine::benchmark {
namespace {

constexpr int32_t kNodes = 2708;
constexpr int64_t kEdges = 5278;
constexpr int64_t kFeatures = 1433;
constexpr int64_t kClasses = 7;
constexpr int32_t kLabelled = 140;

std::shared_ptr<const NodeGraph> CitationGraph() {
  const Philox random(1, 2);
  uint64_t drawn = 0;
  NodeGraph graph;
  graph.nodes = kNodes;
  for (int64_t edge = 0; edge < kEdges; ++edge) {
    const auto a = static_cast<int32_t>(random.Below(drawn++, kNodes));
    const auto b = static_cast<int32_t>(random.Below(drawn++, kNodes));
    graph.sources.insert(graph.sources.end(), {a, b});
    graph.targets.insert(graph.targets.end(), {b, a});
  }
  Tensor features({kNodes, kFeatures}, DType::kFloat32);
  for (float& x : features.values<float>()) x = random.Uniform(drawn++) < 0.0127f ? 0.05f : 0.0f;
  graph.features = std::make_shared<const Tensor>(std::move(features));
  return std::make_shared<const NodeGraph>(std::move(graph));
}

}  // namespace

NetworkSpec GraphConvolutions() {
  NetworkSpec spec;
  for (const int64_t units : {int64_t{16}, kClasses}) {
    LayerSpec layer;
    layer.kind = LayerKind::kGraphConv;
    layer.units = units;
    layer.activation = units == kClasses ? Activation::kLinear : Activation::kRelu;
    spec.layers.push_back(layer);
  }
  spec.layers.emplace_back();
  spec.layers.back().kind = LayerKind::kGather;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.optimizer.weight_decay = 5e-4;
  spec.batch_size = kLabelled;
  return spec;
}

MemoryBatch CitationRows() {
  MemoryBatch batch;
  batch.rows = kLabelled;
  batch.layout.code_columns = 1;
  batch.layout.classes = kClasses;
  batch.layout.nodes = CitationGraph();
  for (int32_t node = 0; node < kLabelled; ++node) {
    batch.codes.push_back(node);
    batch.labels.push_back(node % static_cast<int32_t>(kClasses));
  }
  return batch;
}

}  // namespace beamline::engine::benchmark
