// Recurrent layers, and the one that makes a sequence of a row.
#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

// One direction over x: all states, [batch, steps, units].
Value BuildDirection(const LayerContext& context, RecurrentCell cell, bool reverse) {
  const std::string suffix = reverse ? ".reverse" : "";
  const int64_t units = context.Units();
  const int64_t columns = Gates(cell) * units;
  const int64_t inputs = context.shape().Columns();
  // Each gate is a matrix of its own: its fans do not grow with the number of gates.
  const Initial initial =
      InitialWeight(context.layer.initializer, Activation::kTanh, inputs, units);
  const Value weight = context.Parameter("weight" + suffix, {inputs, columns}, initial);
  const Value recurrent = context.Parameter("recurrent_weight" + suffix, {units, columns},
                                            {Initial::Kind::kOrthogonal, 1});
  // An LSTM begins by remembering: its forget gate's bias is 1 (Gers et al. 2000; Jozefowicz et
  // al. 2015).
  Initial ones{Initial::Kind::kConstant, 1};
  ones.begin = units;
  ones.end = 2 * units;
  const Value bias = context.Parameter("bias" + suffix, {columns},
                                       cell == RecurrentCell::kLstm ? ones : Initial());
  Value candidate;
  if (cell == RecurrentCell::kGru) {
    candidate = context.Parameter("recurrent_bias" + suffix, {units}, {});
  }
  const Value gates =
      context.graph.Dense(context.name, context.x(), weight, bias, Activation::kLinear);
  return context.graph.Recurrent(context.name, gates, recurrent, candidate, {}, context.lengths,
                                 {cell, reverse, context.training()});
}

Value BuildRecurrent(const LayerContext& context, RecurrentCell cell) {
  const LayerSpec& layer = context.layer;
  context.RequireNumbers();
  if (context.shape().rank() != 3) {
    Fail("layer \"", context.name, "\" takes sequences [batch, steps, features] but gets ",
         context.shape(), ": add a reshape layer with shape [steps, features] before it, or a ",
         "repeat layer");
  }
  std::vector<Value> directions;
  for (const bool reverse : {false, true}) {
    if (reverse && !layer.bidirectional) continue;
    Value y = BuildDirection(context, cell, reverse);
    if (!layer.sequence) {
      y = context.graph.SequenceLast(context.name, y, context.lengths, reverse);
    }
    directions.push_back(y);
  }
  return layer.bidirectional ? context.graph.Concat(context.name, directions) : directions[0];
}

}  // namespace

Value BuildRnn(const LayerContext& context) {
  switch (context.layer.activation) {
    case Activation::kLinear:  // not given
    case Activation::kTanh:
      return BuildRecurrent(context, RecurrentCell::kTanh);
    case Activation::kRelu:
      return BuildRecurrent(context, RecurrentCell::kRelu);
    default:
      Fail("layer \"", context.name, "\" has activation ", Name(context.layer.activation),
           ": a recurrent layer has tanh or relu");
  }
}

Value BuildLstm(const LayerContext& context) {
  return BuildRecurrent(context, RecurrentCell::kLstm);
}

Value BuildGru(const LayerContext& context) { return BuildRecurrent(context, RecurrentCell::kGru); }

Value BuildRepeat(const LayerContext& context) {
  return context.graph.Repeat(context.name, context.x(), context.layer.steps);
}

Value BuildTranspose(const LayerContext& context) {
  return context.graph.Transpose(context.name, context.x());
}

}  // namespace beamline::engine
