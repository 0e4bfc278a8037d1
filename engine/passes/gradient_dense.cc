// Rules of dense layers, activations, normalisation, embedding, and of ops that move elements.
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {
namespace {

void NormRule(GradientContext& context, const Node& node, Value dy, OpKind op) {
  const Value x = node.inputs[0];
  const Value gamma = node.inputs[1];
  const Value beta = node.inputs[2];
  const std::vector<Shape> shapes = {context.shape(x), context.shape(gamma), context.shape(beta)};
  const std::vector<Value> out = context.AppendAll(
      op, node, {dy, x, gamma, node.outputs[1], node.outputs[2]}, shapes, node.attributes);
  context.Accumulate(x, out[0], node);
  context.Accumulate(gamma, out[1], node);
  context.Accumulate(beta, out[2], node);
}

}  // namespace

// y = op(a) op(b), op being the transpose or not.
void MatMulRule(GradientContext& context, const Node& node, Value dy) {
  const Value a = node.inputs[0];
  const Value b = node.inputs[1];
  const bool ta = node.attributes.transpose_a;
  const bool tb = node.attributes.transpose_b;
  const auto product = [&](Value left, Value right, bool tl, bool tr, Value target) {
    Attributes attributes;
    attributes.transpose_a = tl;
    attributes.transpose_b = tr;
    const Shape shape = context.shape(target);
    context.Accumulate(
        target, context.Append(OpKind::kMatMul, node, {left, right}, shape, attributes), node);
  };
  if (context.Needed(a)) {
    if (ta) {
      product(b, dy, tb, true, a);
    } else {
      product(dy, b, false, !tb, a);
    }
  }
  if (context.Needed(b)) {
    if (tb) {
      product(dy, a, true, ta, b);
    } else {
      product(a, dy, !ta, false, b);
    }
  }
}

void BiasAddRule(GradientContext& context, const Node& node, Value dy) {
  context.Accumulate(node.inputs[0], dy, node);
  const Value bias = node.inputs[1];
  if (!context.Needed(bias)) return;
  const Shape shape = context.shape(bias);
  context.Accumulate(bias, context.Append(OpKind::kColumnSum, node, {dy}, shape), node);
}

void ActivateRule(GradientContext& context, const Node& node, Value dy) {
  const Activation activation = node.attributes.activation;
  const Value x = node.inputs[0];
  const bool softmax = activation == Activation::kSoftmax;
  const Value saved = GradientNeedsInput(activation) ? x : node.outputs[0];
  const Shape shape = context.shape(x);
  context.Accumulate(x,
                     context.Append(softmax ? OpKind::kSoftmaxGrad : OpKind::kActivationGrad, node,
                                    {dy, saved}, shape, node.attributes),
                     node);
}

void DropoutRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(
      node.inputs[0],
      context.Append(OpKind::kDropout, node, {dy, node.inputs[1]}, shape, node.attributes), node);
}

void BatchNormRule(GradientContext& context, const Node& node, Value dy) {
  NormRule(context, node, dy, OpKind::kBatchNormGrad);
}

void LayerNormRule(GradientContext& context, const Node& node, Value dy) {
  NormRule(context, node, dy, OpKind::kLayerNormGrad);
}

void EmbeddingRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(
      node.inputs[0],
      context.Append(OpKind::kEmbeddingGrad, node, {dy, node.inputs[1]}, shape, node.attributes),
      node);
}

void ConcatRule(GradientContext& context, const Node& node, Value dy) {
  int64_t begin = 0;
  for (const Value part : node.inputs) {
    const Shape shape = context.shape(part);
    if (context.Needed(part)) {
      Attributes attributes;
      attributes.begin = begin;
      context.Accumulate(part, context.Append(OpKind::kSlice, node, {dy}, shape, attributes), node);
    }
    begin += shape.Columns();
  }
}

void SliceRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0],
                     context.Append(OpKind::kSliceGrad, node, {dy}, shape, node.attributes), node);
}

void ReshapeRule(GradientContext& context, const Node& node, Value dy) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0], context.Append(OpKind::kReshape, node, {dy}, shape), node);
}

}  // namespace beamline::engine
