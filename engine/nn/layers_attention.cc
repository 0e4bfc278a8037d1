// Attention, and what tells steps of a sequence apart.
#include <cmath>
#include <vector>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

// Of rotary and sinusoidal positions: component i of n turns by step / kBase^(i / n).
constexpr double kBase = 10'000;

double Angle(int64_t step, int64_t i, int64_t n) {
  return static_cast<double>(step) *
         std::pow(kBase, -static_cast<double>(i) / static_cast<double>(n));
}

void RequireSequence(const LayerContext& context, size_t i) {
  context.RequireNumbers(i);
  const Shape& shape = context.graph.shape(context.inputs[i]);
  if (shape.rank() == 3) return;
  Fail("layer \"", context.name, "\" takes a sequence [batch, steps, features], not ", shape,
       ": put a reshape to [steps, features], or an embedding with tokens, before it");
}

// x W + b with parts of the width `units`; each is initialised as if it stood alone.
Value Project(const LayerContext& context, const std::string& what, Value x, int64_t units,
              int64_t parts) {
  const int64_t inputs = context.graph.shape(x).Columns();
  const Initial initial =
      InitialWeight(context.layer.initializer, Activation::kLinear, inputs, units);
  const Value weight = context.Parameter(what + "_weight", {inputs, parts * units}, initial);
  const Value bias =
      context.layer.bias ? context.Parameter(what + "_bias", {parts * units}, {}) : Value();
  return context.graph.Dense(context.name, x, weight, bias, Activation::kLinear);
}

// Turns the first `turned` heads of x.
Value Rotate(const LayerContext& context, const std::string& what, Value x, int64_t width,
             int64_t turned) {
  if (!context.layer.rotary) return x;
  if (width % 2 != 0) {
    Fail("layer \"", context.name, "\" turns pairs of features but its heads have ", width,
         ": make units / heads even");
  }
  const int64_t steps = context.graph.shape(x).dim(1);
  std::vector<double> cos, sin;
  for (int64_t step = 0; step < steps; ++step) {
    for (int64_t i = 0; i < width / 2; ++i) {
      cos.push_back(std::cos(Angle(step, i, width / 2)));
      sin.push_back(std::sin(Angle(step, i, width / 2)));
    }
  }
  const Shape table({steps, width / 2});
  return context.graph.Rotary(context.name, x, context.Constant(what + "_cos", table, cos),
                              context.Constant(what + "_sin", table, sin), turned);
}

// How many keys of each row are no padding; no value if all may be seen. Rows that have lengths
// are padded behind them, and nobody is to see that.
Value KeyLengths(const LayerContext& context, int64_t keys) {
  if (context.of_target) return {};
  if (context.lengths.valid() && keys == context.sequence_steps) return context.lengths;
  if (!context.layer.mask_padding) return {};
  const Value codes = context.graph.Find("codes");
  if (!codes.valid() || context.graph.shape(codes) != Shape({context.batch, keys})) {
    Fail("layer \"", context.name, "\" leaves out padding, which \"codes\" tell, but it has ", keys,
         " keys and the codes that layers before it read are ",
         codes.valid() ? context.graph.shape(codes).Columns() : 0,
         ": let it see a sequence that an embedding with tokens made");
  }
  return context.graph.Lengths(context.name, codes);
}

}  // namespace

// Parameters: "qkv_weight" [features, 3 units] (two inputs: "q_weight" and "kv_weight"),
// "out_weight" [units, units], and as many "_bias".
Value BuildAttention(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  for (size_t i = 0; i < context.inputs.size(); ++i) RequireSequence(context, i);
  const int64_t units = layer.units == 0 ? context.shape().Columns() : layer.units;
  if (units < 1 || units > kMaxUnits || layer.heads < 1 || units % layer.heads != 0) {
    Fail("layer \"", context.name, "\" has ", layer.heads, " heads for ", units,
         " units: make units a multiple of heads");
  }
  const int64_t width = units / layer.heads;
  const Graph::AttentionOptions options{layer.heads, layer.causal};
  Value y;
  if (context.inputs.size() == 1) {
    const Value qkv = Rotate(context, "qkv", Project(context, "qkv", context.x(), units, 3), width,
                             2 * layer.heads);
    y = context.graph.Attention(context.name, qkv, KeyLengths(context, context.shape().dim(1)),
                                options);
  } else {
    const Value q =
        Rotate(context, "q", Project(context, "q", context.x(), units, 1), width, layer.heads);
    const Value kv = Rotate(context, "kv", Project(context, "kv", context.inputs[1], units, 2),
                            width, layer.heads);
    y = context.graph.CrossAttention(context.name, q, kv,
                                     KeyLengths(context, context.graph.shape(kv).dim(1)), options);
  }
  return Project(context, "out", y, units, 1);
}

// Parameter of learned positions: "table" [steps, features].
Value BuildPositions(const LayerContext& context) {
  RequireSequence(context, 0);
  Graph& graph = context.graph;
  const Shape shape = context.shape();
  const int64_t steps = shape.dim(1);
  const int64_t features = shape.dim(2);
  const Shape flat({steps * features});
  Value table;
  if (context.layer.positions == PositionKind::kLearned) {
    table = graph.Reshape(
        context.name, context.Parameter("table", {steps, features}, InitialTable(features)), flat);
  } else {
    std::vector<double> numbers;
    for (int64_t step = 0; step < steps; ++step) {
      for (int64_t i = 0; i < features; ++i) {
        const double angle = Angle(step, i / 2 * 2, features);
        numbers.push_back(i % 2 == 0 ? std::sin(angle) : std::cos(angle));
      }
    }
    table = context.Constant("table", flat, numbers);
  }
  const Value rows = graph.Reshape(context.name, context.x(), {shape.dim(0), steps * features});
  return graph.Reshape(context.name, graph.BiasAdd(context.name, rows, table), shape);
}

}  // namespace beamline::engine
