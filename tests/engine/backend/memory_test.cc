// Networks with a memory, on every backend: values, gradients, bits.
#include <gmock/gmock.h>

#include <memory>

#include "engine/core/philox.h"
#include "engine/executor/executor.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;
using testing::P;

struct Layer {
  MemoryKind kind;
  int64_t rows, steps, units, slots, width, reads;
  bool lengths = false;
};

std::vector<int32_t> SomeLengths(const Layer& layer) {
  std::vector<int32_t> lengths;
  for (int64_t r = 0; r < layer.rows; ++r) {
    lengths.push_back(static_cast<int32_t>(r == 0 ? layer.steps : 1 + (r - 1) * 3 % layer.steps));
  }
  return lengths;
}

// All that the layer takes is a parameter, so that all its gradients are checked.
Value Build(Graph& g, const Layer& layer) {
  const Graph::MemoryOptions options = {layer.kind, layer.slots, layer.width, layer.reads, true};
  const int64_t columns = 4 * layer.units;
  const int64_t numbers = Graph::MemoryInterface(options);
  const Value x = P(g, "x", {layer.rows, layer.steps, columns});
  const Value weight = P(g, "weight", {layer.units + layer.reads * layer.width, columns});
  const Value interface_weight = P(g, "interface_weight", {layer.units, numbers});
  const Value bias = P(g, "interface_bias", {numbers});
  const Value lengths = layer.lengths ? g.CodesInput("lengths", {layer.rows}) : Value();
  return g.MemoryNetwork("layer", x, weight, interface_weight, bias, lengths, options);
}

class MemoryTest : public testing::BackendTest {};

TEST_P(MemoryTest, BothKinds) {
  for (const MemoryKind kind : {MemoryKind::kNtm, MemoryKind::kDnc}) {
    for (const Layer& layer : std::vector<Layer>{{kind, 2, 4, 3, 4, 2, 1},
                                                 {kind, 3, 5, 2, 3, 3, 2, true},
                                                 {kind, 1, 1, 1, 3, 1, 1},
                                                 {kind, 1, 3, 17, 19, 5, 1}}) {
      SCOPED_TRACE(std::string(Name(kind)) + ", slots " + std::to_string(layer.slots));
      testing::GradientCheck check;
      check.tolerance32 = 2e-4;
      check.tolerance64 = 1e-5;
      if (layer.lengths) check.codes = {{"lengths", SomeLengths(layer)}};
      Check([&](Graph& g) { return Build(g, layer); }, check);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, MemoryTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

// What a layer and its gradients give, for parameters drawn by name.
std::string Bytes(const std::string& backend, const Layer& layer, int threads) {
  Graph graph;
  const Value y = Build(graph, layer);
  const Value target = graph.Input("target", graph.shape(y));
  const Value loss = graph.Loss("loss", y, target, Value(), Value(), {}).loss;
  std::vector<Value> parameters;
  for (size_t i = 0; i < graph.values().size(); ++i) {
    if (graph.values()[i].role == Role::kParameter) parameters.push_back({static_cast<int32_t>(i)});
  }
  std::vector<Value> outputs = AppendGradients(&graph, loss, parameters);
  outputs.push_back(y);
  for (const Value value : outputs) graph.MarkOutput(value);
  Optimize(&graph);
  ThreadPool pool(threads);
  Variables variables;
  Executor executor(graph, FindBackend(backend), &variables, &pool, 1);
  const auto draw = [&](Value value) {
    const Philox random(7, static_cast<uint64_t>(value.id));
    const std::span<float> data = executor.Data<float>(value);
    for (size_t i = 0; i < data.size(); ++i) data[i] = 0.3f * random.Normal(i);
  };
  for (const Value value : parameters) draw(value);
  std::string bytes;
  for (int again = 0; again < 2; ++again) {
    draw(target);
    if (layer.lengths) {
      const std::vector<int32_t> lengths = SomeLengths(layer);
      std::copy(lengths.begin(), lengths.end(),
                executor.Data<int32_t>(graph.Find("lengths")).begin());
    }
    executor.Run(0);
    for (const Value value : outputs) {
      const std::span<float> data = executor.Data<float>(value);
      bytes.append(reinterpret_cast<const char*>(data.data()), data.size_bytes());
    }
  }
  EXPECT_EQ(bytes.substr(0, bytes.size() / 2) == bytes.substr(bytes.size() / 2), true)
      << "the second run of the same graph";
  return bytes;
}

TEST(MemoryBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  for (const Layer& layer : std::vector<Layer>{{MemoryKind::kNtm, 9, 7, 35, 37, 9, 2, true},
                                               {MemoryKind::kDnc, 9, 7, 70, 21, 18, 2, true},
                                               {MemoryKind::kDnc, 20, 3, 16, 66, 4, 1}}) {
    std::string expected;
    for (const std::string_view backend : AvailableBackends()) {
      if (!backend.starts_with("cpu")) continue;
      for (const int threads : {1, 2, 3, 4, 8}) {
        const std::string bytes = Bytes(std::string(backend), layer, threads);
        if (expected.empty()) expected = bytes;
        EXPECT_EQ(bytes == expected, true) << backend << ", " << threads << " threads";
      }
    }
  }
}

template <typename Action>
std::string ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(MemoryWiringTest, RefusesWhatDoesNotFit) {
  Graph g;
  const Graph::MemoryOptions options = {MemoryKind::kNtm, 4, 2, 1, false};
  const int64_t numbers = Graph::MemoryInterface(options);
  EXPECT_EQ(numbers, 2 * (2 + 6) + 2 * 2);
  EXPECT_EQ(Graph::MemoryInterface({MemoryKind::kDnc, 4, 2, 3, false}),
            4 * (2 + 1) + 2 * 2 + 3 + 2 + 3 * 3);
  const Value x = g.Input("x", {2, 3, 8});
  const Value weight = g.Input("u", {4, 8});
  const Value interface = g.Input("v", {2, numbers});
  const Value bias = g.Input("b", {numbers});
  const auto make = [&](Value gates, Value u, Value v, Value b, Value lengths,
                        const Graph::MemoryOptions& with) {
    return ErrorOf([&] { g.MemoryNetwork("l", gates, u, v, b, lengths, with); });
  };
  EXPECT_EQ(make(x, weight, interface, bias, {}, options), "");
  EXPECT_THAT(make(x, weight, interface, bias, {}, {MemoryKind::kNtm, 2, 2, 1, false}),
              HasSubstr("2 slots of 2 numbers and 1 read heads: there must be 3 to 65536 slots"));
  EXPECT_THAT(make(g.Input("odd", {2, 3, 9}), weight, interface, bias, {}, options),
              HasSubstr("needs 4 numbers per unit"));
  EXPECT_THAT(make(x, interface, interface, bias, {}, options),
              HasSubstr("recurrent weight must have shape [4, 8]"));
  EXPECT_THAT(make(x, weight, weight, bias, {}, options),
              HasSubstr("interface's weight must have shape [2, 20]"));
  EXPECT_THAT(make(x, weight, interface, weight, {}, options), HasSubstr("interface's bias"));
  EXPECT_THAT(make(x, weight, interface, bias, g.CodesInput("three", {3}), options),
              HasSubstr("lengths must be int32 of shape [2]"));
}

TEST(MemoryWiringTest, CannotBeTrainedThroughWhenBuiltForPrediction) {
  Graph g;
  const Graph::MemoryOptions options = {MemoryKind::kDnc, 4, 2, 1, false};
  const int64_t numbers = Graph::MemoryInterface(options);
  const Value x = P(g, "x", {2, 3, 8});
  const Value y = g.MemoryNetwork("l", x, P(g, "u", {4, 8}), P(g, "v", {2, numbers}),
                                  P(g, "b", {numbers}), {}, options);
  const Value loss = g.Loss("loss", y, g.Input("t", {2, 3, 4}), {}, {}, {}).loss;
  const std::vector<Value> parameters = {x};
  EXPECT_THAT(ErrorOf([&] { AppendGradients(&g, loss, parameters); }),
              HasSubstr("built for prediction"));
}

}  // namespace
}  // namespace beamline::engine
