// Rules of the ops on edges of a graph.
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {
namespace {

// Places of the adjacency among a node's inputs.
enum { kOffsets = 2, kColumns, kTransposedOffsets, kTransposedColumns, kTransposedEdges };

}  // namespace

void SparseMatMulRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Value weights = node.inputs[1];
  const Shape weights_shape = context.shape(weights);
  if (context.Needed(x)) {
    // The transpose, with the weights in its order.
    Attributes attributes;
    attributes.offsets = {0};
    const Value reordered =
        context.Append(OpKind::kEmbedding, node, {weights, node.inputs[kTransposedEdges]},
                       weights_shape, attributes);
    const Shape shape = context.shape(x);
    context.Accumulate(x,
                       context.Append(OpKind::kSparseMatMul, node,
                                      {dy, reordered, node.inputs[kTransposedOffsets],
                                       node.inputs[kTransposedColumns], node.inputs[kOffsets],
                                       node.inputs[kColumns], node.inputs[kTransposedEdges]},
                                      shape),
                       node);
  }
  if (context.Needed(weights)) {
    context.Accumulate(
        weights,
        context.Append(OpKind::kEdgeDot, node,
                       {dy, x, node.inputs[kOffsets], node.inputs[kColumns]}, weights_shape),
        node);
  }
}

void EdgeAddRule(GradientContext& context, const Node& node, Value dy) {
  const Shape a = context.shape(node.inputs[0]);
  const Shape b = context.shape(node.inputs[1]);
  if (context.Needed(node.inputs[0])) {
    context.Accumulate(node.inputs[0],
                       context.Append(OpKind::kEdgeSum, node, {dy, node.inputs[kOffsets]}, a),
                       node);
  }
  if (context.Needed(node.inputs[1])) {
    context.Accumulate(
        node.inputs[1],
        context.Append(OpKind::kEdgeSum, node,
                       {dy, node.inputs[kTransposedOffsets], node.inputs[kTransposedEdges]}, b),
        node);
  }
}

void EdgeSoftmaxRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(
      node.inputs[0],
      context.Append(OpKind::kEdgeSoftmaxGrad, node, {dy, node.outputs[0], node.inputs[1]}, shape),
      node);
}

// y = sum_f x a: dx = dy a; da = sum_n dy x.
void HeadDotRule(GradientContext& context, const Node& node, Value dy) {
  const Value x = node.inputs[0];
  const Value a = node.inputs[1];
  const Shape x_shape = context.shape(x);
  const Shape a_shape = context.shape(a);
  if (context.Needed(x)) {
    context.Accumulate(x, context.Append(OpKind::kHeadSpread, node, {dy, a}, x_shape), node);
  }
  if (context.Needed(a)) {
    const Value spread = context.Append(OpKind::kHeadSpread, node, {dy}, x_shape);
    const Value product = context.Append(OpKind::kMultiply, node, {spread, x}, x_shape);
    context.Accumulate(a, context.Append(OpKind::kColumnSum, node, {product}, a_shape), node);
  }
}

}  // namespace beamline::engine
