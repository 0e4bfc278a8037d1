#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/executor/executor.h"
#include "engine/nn/network.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

int64_t CountOps(const Graph& graph, OpKind op) {
  return std::count_if(graph.nodes().begin(), graph.nodes().end(),
                       [op](const Node& node) { return node.op == op; });
}

BatchLayout Layout() { return testing::Circle(10, 1).layout(); }

NetworkSpec Plain() {
  NetworkSpec spec;
  spec.layers.resize(3);
  for (LayerSpec& layer : spec.layers) layer.activation = Activation::kTanh;
  spec.layers[0].units = 50;
  spec.layers[1].units = 40;
  spec.layers[2].activation = Activation::kLinear;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  return spec;
}

TEST(FusionTest, ADenseLayerIsOneNodeForwardAndOneBackward) {
  const Network network = BuildNetwork(Plain(), Layout(), 16, NetworkMode::kTraining);
  // 3 forward, 3 weight gradients, 2 input gradients (none for the features).
  EXPECT_EQ(CountOps(network.graph, OpKind::kMatMul), 8);
  EXPECT_EQ(CountOps(network.graph, OpKind::kBiasAdd), 0);
  EXPECT_EQ(CountOps(network.graph, OpKind::kActivate), 0);
  EXPECT_EQ(CountOps(network.graph, OpKind::kActivationGrad), 0);
  EXPECT_EQ(CountOps(network.graph, OpKind::kUpdate), 6);
}

TEST(FusionTest, UpdatesFollowTheirGradients) {
  const Network network = BuildNetwork(Plain(), Layout(), 16, NetworkMode::kTraining);
  const std::vector<Node>& nodes = network.graph.nodes();
  const auto first_update = std::find_if(
      nodes.begin(), nodes.end(), [](const Node& node) { return node.op == OpKind::kUpdate; });
  const auto last_product = std::find_if(
      nodes.rbegin(), nodes.rend(), [](const Node& node) { return node.op == OpKind::kMatMul; });
  EXPECT_LT(first_update - nodes.begin(), nodes.rend() - last_product - 1);
}

TEST(FusionTest, DeadNodesGo) {
  Graph g;
  const Value x = g.Input("x", {2, 3});
  const Value kept = g.Activate("kept", x, Activation::kRelu);
  g.Activate("dead", kept, Activation::kTanh);
  g.MarkOutput(kept);
  Optimize(&g);
  ASSERT_EQ(g.nodes().size(), 1u);
  EXPECT_EQ(g.nodes()[0].name, "kept");
}

TEST(FusionTest, WhatIsReadElsewhereIsNotFusedAway) {
  Graph g;
  const Value x = g.Input("x", {2, 3});
  const Value w = g.Parameter("w", {3, 3}, {});
  const Value product = g.MatMul("product", x, w);
  const Value y = g.Activate("y", product, Activation::kTanh);
  g.MarkOutput(g.Add("sum", product, y));
  Optimize(&g);
  EXPECT_EQ(CountOps(g, OpKind::kActivate), 1);
}

TEST(AutodiffTest, ParametersThatDoNotMatterHaveNoGradient) {
  Graph g;
  const Value x = g.Parameter("x", {4, 1}, {});
  const Value unused = g.Parameter("unused", {2}, {});
  const Value loss = g.Loss("loss", x, g.Input("t", {4, 1}), Value(), Value(), {}).loss;
  const std::vector<Value> parameters = {x, unused};
  const std::vector<Value> gradients = AppendGradients(&g, loss, parameters);
  EXPECT_TRUE(gradients[0].valid());
  EXPECT_FALSE(gradients[1].valid());
  EXPECT_THROW(AppendGradients(&g, x, parameters), Error);
}

// A residual block: convolutions, norms and their gradients are all there is.
TEST(FusionTest, AResidualBlockIsConvolutionsAndNorms) {
  NetworkSpec spec;
  const auto layer = [&](LayerKind kind, const std::string& name) -> LayerSpec& {
    LayerSpec& added = spec.layers.emplace_back();
    added.kind = kind;
    added.name = name;
    added.units = 4;
    added.kernel = {3};
    added.padding = Padding::kSame;
    added.bias = false;
    return added;
  };
  layer(LayerKind::kReshape, "image").shape = {4, 4, 1};
  layer(LayerKind::kConv, "stem");
  for (const std::string block : {"a", "b"}) {
    const std::string x = block == "a" ? "stem" : "a.relu";
    layer(LayerKind::kConv, block + ".conv1").inputs = {x};
    layer(LayerKind::kBatchNorm, block + ".norm1");
    layer(LayerKind::kActivation, block + ".relu1").activation = Activation::kRelu;
    layer(LayerKind::kConv, block + ".conv2");
    layer(LayerKind::kBatchNorm, block + ".norm2");
    layer(LayerKind::kAdd, block + ".sum").inputs = {block + ".norm2", x};
    layer(LayerKind::kActivation, block + ".relu").activation = Activation::kRelu;
  }
  layer(LayerKind::kReshape, "flat");
  layer(LayerKind::kDense, "head").units = 1;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  BatchLayout layout;
  layout.features = 16;
  layout.classes = 2;
  const Graph graph = BuildNetwork(spec, layout, 8, NetworkMode::kTraining).graph;
  EXPECT_EQ(CountOps(graph, OpKind::kConv), 5 + 4);
  EXPECT_EQ(CountOps(graph, OpKind::kConvWeightGrad), 5);
  EXPECT_EQ(CountOps(graph, OpKind::kBatchNorm), 4);
  EXPECT_EQ(CountOps(graph, OpKind::kBatchNormGrad), 4);
  EXPECT_EQ(CountOps(graph, OpKind::kAdd), 0);
  EXPECT_EQ(CountOps(graph, OpKind::kActivate), 0);
  // Of the last sum: the gradient comes from the flat layer, through a reshape.
  EXPECT_EQ(CountOps(graph, OpKind::kActivationGrad), 1);
}

// The planner's figure is what a run touches: no byte more, no byte less.
TEST(MemoryPlanTest, PeakIsWhatARunUses) {
  for (const int64_t batch : {1, 7, 64, 333}) {
    NetworkSpec spec = testing::RichNetwork();
    const Network network = BuildNetwork(spec, Layout(), batch, NetworkMode::kTraining);
    Variables variables;
    ThreadPool pool(1);
    Executor executor(network.graph, FindBackend("cpu"), &variables, &pool, 1);
    ASSERT_EQ(static_cast<int64_t>(executor.arena().size()), executor.plan().arena_bytes);
    constexpr auto kUntouched = std::byte{0xA5};
    std::fill(executor.arena().begin(), executor.arena().end(), kUntouched);
    const Value inputs[] = {network.features,       network.weights,
                            network.targets,        network.class_weights,
                            network.update.numbers, network.update.clip_limit};
    for (const Value input : inputs) {
      for (float& x : executor.Data<float>(input)) x = 0.5f;
    }
    for (const auto& [rate, value] : network.rates) executor.Set(rate, value);
    for (int32_t& code : executor.Data<int32_t>(network.codes)) code = 0;
    executor.Run(0);
    int64_t touched = executor.plan().arena_bytes;
    while (touched > 0 && executor.arena()[static_cast<size_t>(touched - 1)] == kUntouched) {
      --touched;
    }
    EXPECT_GT(touched, executor.plan().arena_bytes - kAlignmentBytes) << batch;
    int64_t kept = 0;
    for (const auto& [name, variable] : variables.all()) {
      kept += (variable.tensor.size_bytes() + 63) / 64 * 64;
    }
    EXPECT_EQ(kept, executor.plan().parameter_bytes + executor.plan().state_bytes);
  }
}

TEST(MemoryPlanTest, ValuesThatLiveTogetherNeverOverlap) {
  const Network network =
      BuildNetwork(testing::RichNetwork(), Layout(), 64, NetworkMode::kTraining);
  const Graph& graph = network.graph;
  const MemoryPlan plan = PlanMemory(graph);
  struct Block {
    int64_t begin, end, first, last;
    size_t root;
  };
  std::vector<Block> blocks(graph.values().size());
  const auto nodes = static_cast<int64_t>(graph.nodes().size());
  for (size_t i = 0; i < blocks.size(); ++i) {
    const ValueInfo& info = graph.values()[i];
    blocks[i] = {plan.offset_bytes[i], plan.offset_bytes[i] + info.shape.NumElements() * 4,
                 info.role == Role::kInput ? -1 : nodes, info.output ? nodes : -1, i};
  }
  for (int64_t n = 0; n < nodes; ++n) {
    const Node& node = graph.nodes()[static_cast<size_t>(n)];
    ASSERT_NE(node.op, OpKind::kReshape) << "aliases are not modelled here";
    for (const auto& values : {node.inputs, node.outputs}) {
      for (const Value value : values) {
        Block& block = blocks[static_cast<size_t>(value.id)];
        block.first = std::min(block.first, n);
        block.last = std::max(block.last, n);
      }
    }
  }
  int64_t sum = 0;
  for (const Block& a : blocks) {
    if (a.begin < 0 || a.first > a.last) continue;
    sum += a.end - a.begin;
    for (const Block& b : blocks) {
      if (a.root == b.root || b.begin < 0 || a.first > b.last || b.first > a.last) continue;
      EXPECT_TRUE(a.end <= b.begin || b.end <= a.begin) << a.root << " and " << b.root;
    }
  }
  EXPECT_LT(plan.arena_bytes, sum * 3 / 4) << "memory is reused";
}

TEST(NetworkTest, CostIsKnownWithoutRunning) {
  const NetworkCost cost = EstimateCost(Plain(), Layout());
  EXPECT_EQ(cost.parameters, 3 * 50 + 50 + 50 * 40 + 40 + 40 + 1);
  EXPECT_EQ(cost.flops_per_row, 2 * (3 * 50 + 50 * 40 + 40));
  // Forward, weight gradients, and input gradients but for the first layer.
  EXPECT_EQ(cost.flops_per_step, 32 * 2 * (2 * (3 * 50) + 3 * (50 * 40 + 40)));
  EXPECT_GT(cost.peak_bytes, cost.parameters * 4);
}

TEST(NetworkTest, CostCountsConvolutions) {
  NetworkSpec spec;
  const auto layer = [&](LayerKind kind, int64_t units, int64_t kernel) -> LayerSpec& {
    LayerSpec& added = spec.layers.emplace_back();
    added.kind = kind;
    added.units = units;
    added.kernel = {kernel};
    added.stride = {2};
    return added;
  };
  layer(LayerKind::kReshape, 0, 1).shape = {8, 8, 2};
  LayerSpec& strided = layer(LayerKind::kConv, 6, 3);
  strided.padding = Padding::kSame;
  strided.groups = 2;
  layer(LayerKind::kConvTranspose, 3, 2);
  layer(LayerKind::kReshape, 0, 1);
  layer(LayerKind::kDense, 0, 1);
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  BatchLayout layout;
  layout.features = 128;
  layout.classes = 2;
  const NetworkCost cost = EstimateCost(spec, layout);
  const int64_t conv = 2 * 4 * 4 * 9 * 1 * 6;
  const int64_t transposed = 2 * 4 * 4 * 4 * 3 * 6;
  const int64_t dense = 2 * 8 * 8 * 3;
  EXPECT_EQ(cost.flops_per_row, conv + transposed + dense);
  EXPECT_EQ(cost.flops_per_step, 32 * (2 * conv + 3 * transposed + 3 * dense));
}

}  // namespace
}  // namespace beamline::engine
