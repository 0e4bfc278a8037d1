// Rules of convolution, pooling and group norm.
#include "engine/graph/window.h"
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {

// By x: the convolution of dy whose window is GradientWindow's. By the weight: as if the
// convolution were the one without flip; a flipped one is the gradient by x of that.
void ConvRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Value weight = node.inputs[1];
  const Window& window = node.attributes.window;
  Attributes attributes;
  attributes.window = GradientWindow(window, context.shape(x), context.shape(dy));
  if (context.Needed(x)) {
    const Shape shape = context.shape(x);
    context.Accumulate(x, context.Append(OpKind::kConv, node, {dy, weight}, shape, attributes),
                       node);
  }
  if (!context.Needed(weight)) return;
  const Shape shape = context.shape(weight);
  std::vector<Value> inputs = {dy, x};
  if (!window.flip) {
    attributes.window = window;
    inputs = {x, dy};
  }
  context.Accumulate(
      weight, context.Append(OpKind::kConvWeightGrad, node, inputs, shape, attributes), node);
}

void MaxPoolRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(x, context.Append(OpKind::kMaxPoolGrad, node, {dy, x}, shape, node.attributes),
                     node);
}

void AveragePoolRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(
      x, context.Append(OpKind::kAveragePoolGrad, node, {dy}, shape, node.attributes), node);
}

void ReduceRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Shape shape = context.shape(x);
  std::vector<Value> inputs = {dy};
  if (node.attributes.reduction == Reduction::kMax) inputs.push_back(x);
  context.Accumulate(x, context.Append(OpKind::kReduceGrad, node, inputs, shape, node.attributes),
                     node);
}

void GroupNormRule(GradientContext& context, const Node& node, Value dy) {
  const std::vector<Shape> shapes = {context.shape(node.inputs[0]), context.shape(node.inputs[1]),
                                     context.shape(node.inputs[2])};
  const std::vector<Value> out =
      context.AppendAll(OpKind::kGroupNormGrad, node,
                        {dy, node.inputs[0], node.inputs[1], node.outputs[1], node.outputs[2]},
                        shapes, node.attributes);
  for (size_t i = 0; i < 3; ++i) context.Accumulate(node.inputs[i], out[i], node);
}

}  // namespace beamline::engine
