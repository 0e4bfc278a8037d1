// Rules of capsules.
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {

void SquashRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(x, context.Append(OpKind::kSquashGrad, node, {dy, x}, shape), node);
}

void RowLengthRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(
      x, context.Append(OpKind::kRowLengthGrad, node, {dy, x, node.outputs[0]}, shape), node);
}

void VotesRule(GradientContext& context, const Node& node, Value dy) {
  const std::vector<Shape> shapes = {context.shape(node.inputs[0]), context.shape(node.inputs[1])};
  const std::vector<Value> out =
      context.AppendAll(OpKind::kVotesGrad, node, {dy, node.inputs[0], node.inputs[1]}, shapes);
  for (size_t i = 0; i < 2; ++i) context.Accumulate(node.inputs[i], out[i], node);
}

void RoutingRule(GradientContext& context, const Node& node, Value dy) {
  const Value votes = node.inputs[0];
  const Shape shape = context.shape(votes);
  context.Accumulate(votes,
                     context.Append(OpKind::kRoutingGrad, node, {dy, votes, node.outputs[1]}, shape,
                                    node.attributes),
                     node);
}

}  // namespace beamline::engine
