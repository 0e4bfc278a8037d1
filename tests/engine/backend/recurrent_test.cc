// Recurrent layers and what sequences need, on every backend: values, gradients, bits.
#include <gmock/gmock.h>

#include <cstring>
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

constexpr RecurrentCell kCells[] = {RecurrentCell::kTanh, RecurrentCell::kRelu,
                                    RecurrentCell::kLstm, RecurrentCell::kGru};

struct Sizes {
  int64_t rows, steps, units;
};

struct Layer {
  Sizes sizes;
  RecurrentCell cell;
  bool reverse = false;
  bool lengths = false;
  bool initial = false;
};

// All that the layer takes is a parameter, so that all its gradients are checked.
Value Build(Graph& g, const Layer& layer) {
  const auto [rows, steps, units] = layer.sizes;
  const int64_t columns = Gates(layer.cell) * units;
  const Value x = P(g, "x", {rows, steps, columns});
  const Value weight = P(g, "weight", {units, columns});
  Value bias, lengths;
  Graph::RecurrentInitial initial;
  if (layer.cell == RecurrentCell::kGru) bias = P(g, "bias", {units});
  if (layer.initial) initial.state = P(g, "h0", {rows, units});
  if (layer.initial && layer.cell == RecurrentCell::kLstm) {
    initial.cell = P(g, "c0", {rows, units});
  }
  if (layer.lengths) lengths = g.CodesInput("lengths", {rows});
  return g.Recurrent("layer", x, weight, bias, initial, lengths, {layer.cell, layer.reverse});
}

// 1, steps, and numbers between.
std::vector<int32_t> SomeLengths(const Sizes& sizes) {
  std::vector<int32_t> lengths;
  for (int64_t r = 0; r < sizes.rows; ++r) {
    const int64_t length = r == 0 ? sizes.steps : 1 + (r - 1) * 3 % sizes.steps;
    lengths.push_back(static_cast<int32_t>(length));
  }
  return lengths;
}

class RecurrentTest : public testing::BackendTest {};

TEST_P(RecurrentTest, EveryCellInBothDirections) {
  for (const RecurrentCell cell : kCells) {
    for (int variant = 0; variant < 8; ++variant) {
      const Layer layer{
          {3, 5, 4}, cell, (variant & 1) != 0, (variant & 2) != 0, (variant & 4) != 0};
      SCOPED_TRACE(std::string(Name(cell)) + " " + std::to_string(static_cast<int>(cell)) +
                   " variant " + std::to_string(variant));
      testing::GradientCheck check;
      if (layer.lengths) check.codes = {{"lengths", SomeLengths(layer.sizes)}};
      Check([&](Graph& g) { return Build(g, layer); }, check);
    }
  }
}

TEST_P(RecurrentTest, OddAndLargeSizes) {
  for (const RecurrentCell cell : kCells) {
    for (const Sizes& sizes :
         std::vector<Sizes>{{1, 1, 1}, {2, 1, 33}, {5, 2, 37}, {50, 2, 5}, {1, 40, 3}}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(cell)) + ", rows " + std::to_string(sizes.rows) +
                   ", units " + std::to_string(sizes.units));
      testing::GradientCheck check;
      check.low = -0.3;
      check.high = 0.3;
      check.tolerance32 = 1e-4;
      check.tolerance64 = 1e-5;
      check.codes = {{"lengths", SomeLengths(sizes)}};
      Check([&](Graph& g) { return Build(g, {sizes, cell, false, true, true}); }, check);
    }
  }
}

TEST_P(RecurrentTest, LastStepRepeatAndSum) {
  for (const bool reverse : {false, true}) {
    for (const bool with : {false, true}) {
      testing::GradientCheck check;
      if (with) check.codes = {{"lengths", {3, 1, 2}}};
      Check(
          [&](Graph& g) {
            const Value lengths = with ? g.CodesInput("lengths", {3}) : Value();
            return g.SequenceLast("last", P(g, "x", {3, 3, 5}), lengths, reverse);
          },
          check);
    }
  }
  Check([](Graph& g) { return g.Repeat("repeat", P(g, "x", {3, 5}), 4); });
  Check([](Graph& g) { return g.StepSum("sum", P(g, "x", {3, 4, 5})); });
  Check([](Graph& g) { return g.Transpose("swap", P(g, "x", {3, 4, 5})); });
  Check([](Graph& g) { return g.Transpose("wide", P(g, "x", {2, 37, 17})); });
}

// Runs a layer forward and backward; all its parameters are given by (name, index).
class Trial {
 public:
  Trial(const std::string& backend, const Layer& layer, int threads)
      : layer_(layer), pool_(threads) {
    y_ = Build(graph_, layer);
    const Shape shape = graph_.shape(y_);
    target_ = graph_.Input("target", shape);
    const Value loss = graph_.Loss("loss", y_, target_, Value(), Value(), {}).loss;
    std::vector<Value> parameters;
    for (size_t i = 0; i < graph_.values().size(); ++i) {
      if (graph_.values()[i].role == Role::kParameter) {
        parameters.push_back({static_cast<int32_t>(i)});
      }
    }
    outputs_ = AppendGradients(&graph_, loss, parameters);
    outputs_.push_back(y_);
    for (const Value value : outputs_) graph_.MarkOutput(value);
    Optimize(&graph_);
    executor_ = std::make_unique<Executor>(graph_, FindBackend(backend), &variables_, &pool_, 1);
    for (const Value parameter : parameters) Draw(parameter, 0.2f);
  }

  std::span<float> Data(Value value) { return executor_->Data<float>(value); }
  std::span<float> Named(const std::string& name) { return Data(graph_.Find(name)); }
  std::span<float> Y() { return Data(y_); }

  // Inputs share memory with what is computed after their last use.
  void Go() {
    Draw(target_, 1);
    if (layer_.lengths) {
      const std::vector<int32_t> lengths = SomeLengths(layer_.sizes);
      std::copy(lengths.begin(), lengths.end(),
                executor_->Data<int32_t>(graph_.Find("lengths")).begin());
    }
    executor_->Run(0);
  }
  std::string Bytes() {
    Go();
    std::string bytes;
    for (const Value value : outputs_) {
      const std::span<float> data = Data(value);
      bytes.append(reinterpret_cast<const char*>(data.data()), data.size_bytes());
    }
    return bytes;
  }

 private:
  void Draw(Value value, float scale) {
    const Philox random(7, static_cast<uint64_t>(value.id));
    const std::span<float> data = Data(value);
    for (size_t i = 0; i < data.size(); ++i) data[i] = scale * random.Normal(i);
  }

  const Layer layer_;
  Graph graph_;
  ThreadPool pool_;
  Variables variables_;
  std::unique_ptr<Executor> executor_;
  Value y_, target_;
  std::vector<Value> outputs_;
};

// A row in reverse is the row turned around: the same numbers at mirrored positions, bit for bit.
TEST_P(RecurrentTest, ReverseIsTheMirrorImageWithinTheLength) {
  const Sizes sizes{7, 6, 35};
  for (const RecurrentCell cell : kCells) {
    Trial forward(GetParam(), {sizes, cell, false, true, true}, 2);
    Trial backward(GetParam(), {sizes, cell, true, true, true}, 2);
    const std::vector<int32_t> lengths = SomeLengths(sizes);
    const std::span<float> x = forward.Named("x");
    const std::span<float> mirrored = backward.Named("x");
    const size_t columns = x.size() / static_cast<size_t>(sizes.rows * sizes.steps);
    const auto at = [&](int64_t row, int64_t step) {
      return static_cast<size_t>(row * sizes.steps + step);
    };
    for (int64_t r = 0; r < sizes.rows; ++r) {
      const int64_t length = lengths[static_cast<size_t>(r)];
      for (int64_t p = 0; p < length; ++p) {
        std::memcpy(&mirrored[at(r, p) * columns], &x[at(r, length - 1 - p) * columns],
                    columns * sizeof(float));
      }
    }
    for (const char* name : {"weight", "bias", "h0", "c0"}) {
      if (std::string(name) == "bias" && cell != RecurrentCell::kGru) continue;
      if (std::string(name) == "c0" && cell != RecurrentCell::kLstm) continue;
      std::copy(forward.Named(name).begin(), forward.Named(name).end(),
                backward.Named(name).begin());
    }
    forward.Go();
    backward.Go();
    const auto units = static_cast<size_t>(sizes.units);
    for (int64_t r = 0; r < sizes.rows; ++r) {
      const int64_t length = lengths[static_cast<size_t>(r)];
      for (int64_t p = 0; p < sizes.steps; ++p) {
        const size_t other = at(r, p < length ? length - 1 - p : p) * units;
        for (size_t j = 0; j < units; ++j) {
          const float y = forward.Y()[at(r, p) * units + j];
          ASSERT_EQ(y, backward.Y()[other + j]);
          ASSERT_TRUE(p < length || y == 0);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, RecurrentTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

// Few rows and much work, where all threads share a step; many rows, where each has its own.
TEST(RecurrentBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  const std::vector<Layer> layers = {
      {{9, 2, 220}, RecurrentCell::kLstm, false, true, true},
      {{70, 3, 90}, RecurrentCell::kGru, true, true, true},
      {{27, 2, 250}, RecurrentCell::kTanh, true, false, false},
      {{400, 3, 33}, RecurrentCell::kLstm, true, true, false},
      {{40, 20, 40}, RecurrentCell::kGru, false, false, true},
      {{500, 2, 40}, RecurrentCell::kRelu, false, true, true},
  };
  for (const Layer& layer : layers) {
    std::string expected;
    for (const std::string_view backend : AvailableBackends()) {
      if (!backend.starts_with("cpu")) continue;
      for (const int threads : {1, 2, 3, 4, 8}) {
        Trial trial(std::string(backend), layer, threads);
        const std::string bytes = trial.Bytes();
        if (expected.empty()) expected = bytes;
        EXPECT_EQ(bytes == expected, true)
            << backend << ", " << threads << " threads, " << layer.sizes.units << " units";
        if (threads != 2) continue;
        EXPECT_EQ(trial.Bytes() == expected, true) << "the second run of the same graph";
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

TEST(RecurrentWiringTest, RefusesWhatDoesNotFit) {
  Graph g;
  const Value x = g.Input("x", {2, 3, 8});
  const Value weight = g.Input("u", {2, 8});
  const Value state = g.Input("h0", {2, 2});
  const Value lengths = g.CodesInput("lengths", {2});
  const auto lstm = [&](Value gates, Value u, Value bias, Graph::RecurrentInitial initial,
                        Value of) {
    return ErrorOf([&] { g.Recurrent("l", gates, u, bias, initial, of, {RecurrentCell::kLstm}); });
  };
  EXPECT_EQ(lstm(x, weight, {}, {state, state}, lengths), "");
  EXPECT_THAT(lstm(g.Input("flat", {2, 8}), weight, {}, {}, {}),
              HasSubstr("takes sequences [batch, steps, features] but gets [2, 8]: add a reshape"));
  EXPECT_THAT(lstm(g.Input("odd", {2, 3, 9}), weight, {}, {}, {}),
              HasSubstr("lstm needs 4 numbers per unit"));
  EXPECT_THAT(lstm(x, g.Input("v", {3, 8}), {}, {}, {}), HasSubstr("must have shape [2, 8]"));
  EXPECT_THAT(lstm(x, weight, state, {}, {}), HasSubstr("a GRU, and no other layer"));
  EXPECT_THAT(lstm(x, weight, {}, {state, {}}, {}), HasSubstr("initial cell state"));
  EXPECT_THAT(lstm(x, weight, {}, {weight, state}, {}), HasSubstr("must have shape [2, 2]"));
  EXPECT_THAT(lstm(x, weight, {}, {}, g.CodesInput("three", {3})),
              HasSubstr("lengths must be int32 of shape [2]"));
  EXPECT_THAT(lstm(lengths, weight, {}, {}, {}), HasSubstr("embed them first"));
  EXPECT_THAT(ErrorOf([&] { g.Repeat("r", x, 4); }), HasSubstr("repeats [batch, features]"));
  EXPECT_THAT(ErrorOf([&] { g.Repeat("r", state, 0); }), HasSubstr("set steps to at least 1"));
  EXPECT_THAT(ErrorOf([&] { g.Transpose("t", state); }), HasSubstr("takes sequences"));
  EXPECT_THAT(ErrorOf([&] { g.SequenceLast("s", state, {}, false); }),
              HasSubstr("takes sequences"));
}

TEST(RecurrentWiringTest, CannotBeTrainedThroughWhenBuiltForPrediction) {
  Graph g;
  const Value x = P(g, "x", {2, 3, 8});
  const Value y =
      g.Recurrent("l", x, P(g, "u", {2, 8}), {}, {}, {}, {RecurrentCell::kLstm, false, false});
  const Value target = g.Input("t", {2, 3, 2});
  const Value loss = g.Loss("loss", y, target, {}, {}, {}).loss;
  const std::vector<Value> parameters = {x};
  EXPECT_THAT(ErrorOf([&] { AppendGradients(&g, loss, parameters); }),
              HasSubstr("built for prediction"));
}

}  // namespace
}  // namespace beamline::engine
