// Rules of attention and of rotary positions.
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {

// (dy, inputs of the node, y, log-sum-exp) -> a gradient for each input but the lengths.
void AttentionRule(GradientContext& context, const Node& node, Value dy) {
  std::vector<Value> inputs = {dy};
  inputs.insert(inputs.end(), node.inputs.begin(), node.inputs.end());
  inputs.insert(inputs.end(), node.outputs.begin(), node.outputs.end());
  const size_t sequences = node.inputs.size() - (node.attributes.has_lengths ? 1 : 0);
  std::vector<Shape> shapes;
  for (size_t i = 0; i < sequences; ++i) shapes.push_back(context.shape(node.inputs[i]));
  const std::vector<Value> gradients =
      context.AppendAll(OpKind::kAttentionGrad, node, std::move(inputs), shapes, node.attributes);
  for (size_t i = 0; i < sequences; ++i) context.Accumulate(node.inputs[i], gradients[i], node);
}

void RotaryRule(GradientContext& context, const Node& node, Value dy) {
  Attributes attributes = node.attributes;
  attributes.inverse = !attributes.inverse;
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0],
                     context.Append(OpKind::kRotary, node, {dy, node.inputs[1], node.inputs[2]},
                                    shape, attributes),
                     node);
}

}  // namespace beamline::engine
