// Rules of ops that are gradients themselves, for losses that have a gradient in their formula.
//
// Most gradients need none: those of products, convolutions, sums and reshapes are such again.
#include "engine/core/error.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {
namespace {

// f' is constant in pieces: its slope is 0 wherever it has one.
bool IsPiecewiseLinear(Activation activation) {
  return activation == Activation::kLinear || activation == Activation::kRelu ||
         activation == Activation::kLeakyRelu;
}

// What to do about a layer whose gradient has none.
const char* Advice(OpKind op) {
  switch (op) {
    case OpKind::kBatchNormGrad:
      return "batch_norm makes each row depend on the others: remove it";
    case OpKind::kGroupNormGrad:
      return "use layer_norm in its place";
    case OpKind::kMaxPoolGrad:
      return "use average_pool, or a stride in the convolution before it";
    case OpKind::kReduceGrad:
      return "let global_pool take the mean";
    case OpKind::kSoftmaxGrad:
      return "use another activation than softmax";
    default:
      return "use dense, conv, average_pool or reshape layers";
  }
}

bool HasGradient(const Node& node) {
  if (node.op == OpKind::kAdd || node.op == OpKind::kMultiply) return true;
  if (node.op == OpKind::kReduceGrad && node.attributes.reduction == Reduction::kMax) return false;
  return RuleFor(node.op) != nullptr;
}

}  // namespace

// dx = dy f'(saved), saved being y or x.
void ActivationGradRule(GradientContext& context, const Node& node, Value u) {
  const Value dy = node.inputs[0];
  const Value saved = node.inputs[1];
  const Shape shape = context.shape(dy);
  if (context.Needed(dy)) {
    context.Accumulate(
        dy, context.Append(OpKind::kActivationGrad, node, {u, saved}, shape, node.attributes),
        node);
  }
  if (!context.Needed(saved) || IsPiecewiseLinear(node.attributes.activation)) return;
  context.Accumulate(
      saved, context.Append(OpKind::kActivationCurve, node, {u, dy, saved}, shape, node.attributes),
      node);
}

// Of dx alone: those of gamma and beta are no part of any loss.
void LayerNormGradRule(GradientContext& context, const Node& node, Value u) {
  const Shape shape = context.shape(u);
  std::vector<Value> inputs = {u};
  inputs.insert(inputs.end(), node.inputs.begin(), node.inputs.end());
  const std::vector<Value> by =
      context.AppendAll(OpKind::kLayerNormCurve, node, inputs, {shape, shape, shape});
  context.Accumulate(node.inputs[0], by[0], node);
  context.Accumulate(node.inputs[1], by[1], node);
  const Value gamma = node.inputs[2];
  if (!context.Needed(gamma)) return;
  const Shape columns = context.shape(gamma);
  context.Accumulate(gamma, context.Append(OpKind::kColumnSum, node, {by[2]}, columns), node);
}

void SliceGradRule(GradientContext& context, const Node& node, Value u) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0],
                     context.Append(OpKind::kSlice, node, {u}, shape, node.attributes), node);
}

void AveragePoolGradRule(GradientContext& context, const Node& node, Value u) {
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0],
                     context.Append(OpKind::kAveragePool, node, {u}, shape, node.attributes), node);
}

// Of all but the maximum, whose places depend on x.
void ReduceGradRule(GradientContext& context, const Node& node, Value u) {
  if (!HasGradient(node)) {
    Fail("layer \"", node.name, "\" cannot be differentiated twice: ", Advice(node.op));
  }
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0],
                     context.Append(OpKind::kReduce, node, {u}, shape, node.attributes), node);
}

void RequireSecondGradients(const Graph& graph, size_t first) {
  for (size_t i = first; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (HasGradient(node)) continue;
    Fail("layer \"", node.name,
         "\" cannot be differentiated twice, as a gradient penalty needs: ", Advice(node.op));
  }
}

}  // namespace beamline::engine
