// Rules of recurrent layers and of what sequences need: back-propagation through time (Werbos
// 1990).
#include "engine/core/error.h"
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {

void RecurrentRule(GradientContext& context, const Node& node, Value dy) {
  const Attributes& attributes = node.attributes;
  const bool gru = attributes.cell == RecurrentCell::kGru;
  const bool lstm = attributes.cell == RecurrentCell::kLstm;
  const Value y = node.outputs[0];
  const Value gates = node.inputs[0];
  const Value weight = node.inputs[1];
  if ((gru || lstm) && node.outputs.size() < 3) {
    Fail("layer \"", node.name, "\" was built for prediction: build it for training");
  }
  // Behind the fixed inputs: h0?, c0?, lengths?.
  const std::vector<Value> rest(node.inputs.begin() + (gru ? 3 : 2), node.inputs.end());
  std::vector<Value> inputs = {dy, y, weight};
  inputs.insert(inputs.end(), node.outputs.begin() + 1, node.outputs.end());
  inputs.insert(inputs.end(), rest.begin(), rest.end());
  std::vector<Shape> shapes = {context.shape(gates)};
  if (gru) shapes.push_back(context.shape(y));
  const size_t states = !attributes.has_initial ? 0 : lstm ? 2 : 1;
  for (size_t i = 0; i < states; ++i) shapes.push_back(context.shape(rest[i]));
  const std::vector<Value> out =
      context.AppendAll(OpKind::kRecurrentGrad, node, inputs, shapes, attributes);
  context.Accumulate(gates, out[0], node);
  for (size_t i = 0; i < states; ++i) context.Accumulate(rest[i], out[(gru ? 2 : 1) + i], node);
  if (gru && context.Needed(node.inputs[2])) {
    const Shape shape = context.shape(node.inputs[2]);
    context.Accumulate(node.inputs[2], context.Append(OpKind::kColumnSum, node, {out[1]}, shape),
                       node);
  }
  if (!context.Needed(weight)) return;
  std::vector<Value> factors = {y, out[0]};
  if (gru) factors.push_back(out[1]);
  if (attributes.has_initial) factors.push_back(rest[0]);
  if (attributes.has_lengths) factors.push_back(rest.back());
  const Shape shape = context.shape(weight);
  context.Accumulate(
      weight, context.Append(OpKind::kRecurrentWeightGrad, node, factors, shape, attributes), node);
}

void SequenceLastRule(GradientContext& context, const Node& node, Value dy) {
  std::vector<Value> inputs = {dy};
  if (node.attributes.has_lengths) inputs.push_back(node.inputs[1]);
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(
      node.inputs[0],
      context.Append(OpKind::kSequenceLastGrad, node, inputs, shape, node.attributes), node);
}

// The two are each other's gradient.
void RepeatRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0], context.Append(OpKind::kStepSum, node, {dy}, shape), node);
}

void TransposeRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0], context.Append(OpKind::kTranspose, node, {dy}, shape), node);
}

void StepSumRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0], context.Append(OpKind::kRepeat, node, {dy}, shape), node);
}

}  // namespace beamline::engine
