#include "engine/passes/autodiff.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/passes/gradient_rules.h"

namespace beamline::engine {
namespace {

// Which values the gradient must flow through: those that depend on a parameter.
std::vector<bool> FindNeeded(const Graph& graph, std::span<const Value> parameters) {
  std::vector<bool> needed(graph.values().size());
  for (const Value parameter : parameters) needed[static_cast<size_t>(parameter.id)] = true;
  for (const Node& node : graph.nodes()) {
    for (const Value input : node.inputs) {
      if (!needed[static_cast<size_t>(input.id)]) continue;
      for (const Value output : node.outputs) needed[static_cast<size_t>(output.id)] = true;
    }
  }
  return needed;
}

// The gradient of a loss takes the loss's inputs, its weight sum (if it has one) and what scales
// it.
void LossGradient(GradientContext& context, const Node& node, const Cotangent& dy,
                  OpKind gradient) {
  if (!context.Needed(node.inputs[0])) return;
  std::vector<Value> inputs = node.inputs;
  if (node.outputs.size() > 1) inputs.push_back(node.outputs[1]);
  Attributes attributes = node.attributes;
  if (dy.kind == Cotangent::Kind::kValue) {
    attributes.has_scale = true;
    inputs.push_back(dy.value);
  }
  const Shape shape = context.shape(node.inputs[0]);
  context.Accumulate(node.inputs[0], context.Append(gradient, node, inputs, shape, attributes),
                     node);
}

void MultiplyGradient(GradientContext& context, const Node& node, const Cotangent& dy) {
  for (size_t i = 0; i < 2; ++i) {
    const Value target = node.inputs[i];
    const Value other = node.inputs[1 - i];
    if (!context.Needed(target)) continue;
    if (dy.kind == Cotangent::Kind::kOne) {
      context.Accumulate(target, other, node);
    } else {
      const Shape shape = context.shape(target);
      context.Accumulate(target, context.Append(OpKind::kMultiply, node, {dy.value, other}, shape),
                         node);
    }
  }
}

void Differentiate(GradientContext& context, const Node& node) {
  if (node.outputs.empty()) return;
  const Cotangent dy = context.Of(node.outputs[0]);
  // What makes the parameters themselves, if a node does, is not differentiated.
  const bool leads_on = std::any_of(node.inputs.begin(), node.inputs.end(),
                                    [&](Value input) { return context.Needed(input); });
  if (dy.kind == Cotangent::Kind::kNone || !leads_on) return;
  switch (node.op) {
    case OpKind::kLoss:
      return LossGradient(context, node, dy, OpKind::kLossGrad);
    case OpKind::kLatentLoss:
      return LossGradient(context, node, dy, OpKind::kLatentLossGrad);
    case OpKind::kActivityLoss:
      return LossGradient(context, node, dy, OpKind::kActivityLossGrad);
    case OpKind::kWeightPenalty:
      return LossGradient(context, node, dy, OpKind::kWeightPenaltyGrad);
    case OpKind::kPairLoss:
      return LossGradient(context, node, dy, OpKind::kPairLossGrad);
    case OpKind::kGradientPenalty:
      return LossGradient(context, node, dy, OpKind::kGradientPenaltyGrad);
    case OpKind::kAdd:
      context.Pass(node.inputs[0], dy, node);
      return context.Pass(node.inputs[1], dy, node);
    case OpKind::kMultiply:
      return MultiplyGradient(context, node, dy);
    default:
      break;
  }
  if (dy.kind != Cotangent::Kind::kValue) {
    Fail("what is differentiated must be a loss, or a sum of losses, but \"", node.name,
         "\" is the output of ", Name(node.op));
  }
  const GradientRule rule = RuleFor(node.op);
  if (rule == nullptr) {
    Fail("layer \"", node.name, "\" cannot be trained through: ", Name(node.op),
         " has no gradient");
  }
  rule(context, node, dy.value);
}

std::vector<Value> AppendFrom(Graph* graph, Value root, const Cotangent& cotangent,
                              std::span<const Value> parameters) {
  GradientContext context(graph, FindNeeded(*graph, parameters));
  graph->BeginGradients();
  context.Set(root, cotangent);
  for (size_t i = graph->nodes().size(); i-- > 0;) {
    // A copy: appending moves the nodes.
    const Node node = graph->nodes()[i];
    Differentiate(context, node);
  }
  std::vector<Value> gradients;
  for (const Value parameter : parameters) gradients.push_back(context.Of(parameter).value);
  return gradients;
}

}  // namespace

std::vector<Value> AppendGradients(Graph* graph, Value loss, std::span<const Value> parameters) {
  if (graph->shape(loss) != Shape()) {
    Fail("what is differentiated must be a single number, not ", graph->shape(loss));
  }
  return AppendFrom(graph, loss, {Cotangent::Kind::kOne, {}}, parameters);
}

std::vector<Value> AppendGradients(Graph* graph, Value y, Value dy,
                                   std::span<const Value> parameters) {
  if (graph->shape(y) != graph->shape(dy)) {
    Fail("a gradient of shape ", graph->shape(dy), " was given for a value of ", graph->shape(y));
  }
  return AppendFrom(graph, y, {Cotangent::Kind::kValue, dy}, parameters);
}

}  // namespace beamline::engine
