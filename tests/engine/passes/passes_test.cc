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

// The projected input, the gates and their gradient lie in one place, one after the other; but not
// where the projected input is read once more.
TEST(MemoryPlanTest, GatesTakeThePlaceOfTheirInput) {
  for (const bool read_again : {false, true}) {
    Graph g;
    const Value weight = g.Parameter("w", {4, 8}, {});
    const Value x = g.Dense("in", g.Input("x", {2, 3, 4}), weight, {}, Activation::kLinear);
    const Value recurrent = g.Parameter("u", {2, 8}, {});
    const Value y = g.Recurrent("cell", x, recurrent, {}, {}, {}, {RecurrentCell::kLstm});
    Value loss = g.Loss("a", y, g.Input("t", {2, 3, 2}), {}, {}, {}).loss;
    if (read_again) {
      loss = g.Add("sum", loss, g.Loss("b", x, g.Input("s", {2, 3, 8}), {}, {}, {}).loss);
    }
    const std::vector<Value> parameters = {weight, recurrent};
    const std::vector<Value> gradients = AppendGradients(&g, loss, parameters);
    for (const Value gradient : gradients) g.MarkOutput(gradient);
    const MemoryPlan plan = PlanMemory(g);
    const auto offset = [&](Value value) {
      return plan.offset_bytes[static_cast<size_t>(value.id)];
    };
    int seen = 0;
    for (const Node& node : g.nodes()) {
      if (node.op == OpKind::kRecurrent) {
        EXPECT_EQ(offset(node.inputs[0]) == offset(node.outputs[1]), !read_again);
        ++seen;
      }
      if (node.op == OpKind::kRecurrentGrad) {
        EXPECT_EQ(offset(node.inputs[3]), offset(node.outputs[0]));
        ++seen;
      }
    }
    EXPECT_EQ(seen, 2);
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

}  // namespace
}  // namespace beamline::engine
