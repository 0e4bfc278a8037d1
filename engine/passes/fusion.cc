#include "engine/passes/fusion.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "engine/passes/recompute.h"

namespace beamline::engine {
namespace {

size_t Index(Value value) { return static_cast<size_t>(value.id); }

bool HasEffect(const Graph& graph, const Node& node) {
  if (node.op == OpKind::kUpdate || node.op == OpKind::kBatchNorm) return true;
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [&](Value value) { return graph.info(value).output; });
}

// How often each value is read; being an output counts as a read.
std::vector<int> CountReads(const Graph& graph, const std::vector<Node>& nodes) {
  std::vector<int> reads(graph.values().size());
  for (size_t i = 0; i < reads.size(); ++i) reads[i] = graph.values()[i].output ? 1 : 0;
  for (const Node& node : nodes) {
    for (const Value input : node.inputs) ++reads[Index(input)];
  }
  return reads;
}

bool IsProduct(OpKind op) { return op == OpKind::kMatMul || op == OpKind::kConv; }

bool IsBatchNorm(OpKind op) {
  return op == OpKind::kBatchNorm || op == OpKind::kBatchNormInference;
}

// Adds what is not `x` of a sum to what makes `x`.
bool AbsorbSum(Node* maker, Value x, const Node& sum) {
  Attributes& attributes = maker->attributes;
  if (maker->op == OpKind::kMatMul || attributes.has_residual ||
      attributes.activation != Activation::kLinear) {
    return false;
  }
  attributes.has_residual = true;
  maker->inputs.push_back(sum.inputs[0] == x ? sum.inputs[1] : sum.inputs[0]);
  maker->outputs[0] = sum.outputs[0];
  return true;
}

// Batch norm can add a residual and apply an activation.
bool AbsorbIntoNorm(Node* norm, Value x, const Node& next) {
  Attributes& attributes = norm->attributes;
  if (next.op == OpKind::kAdd) return AbsorbSum(norm, x, next);
  if (next.op != OpKind::kActivate || attributes.activation != Activation::kLinear ||
      next.attributes.activation == Activation::kSoftmax) {
    return false;
  }
  attributes.activation = next.attributes.activation;
  attributes.alpha = next.attributes.alpha;
  norm->outputs[0] = next.outputs[0];
  return true;
}

// True if `next` does to the result x of `product` something that the product can do by itself; the
// product then does it.
bool Absorb(Node* product, Value x, const Node& next) {
  if (!IsProduct(product->op)) return AbsorbIntoNorm(product, x, next);
  Attributes& attributes = product->attributes;
  const bool activated = attributes.activation != Activation::kLinear;
  switch (next.op) {
    case OpKind::kBiasAdd:
      if (attributes.has_bias || attributes.has_residual || activated) return false;
      attributes.has_bias = true;
      product->inputs.push_back(next.inputs[1]);
      break;
    case OpKind::kAdd:
      return AbsorbSum(product, x, next);
    case OpKind::kActivate:
      if (activated || next.attributes.activation == Activation::kSoftmax) return false;
      attributes.activation = next.attributes.activation;
      attributes.alpha = next.attributes.alpha;
      break;
    case OpKind::kActivationGrad:
      if (activated || attributes.has_bias || next.inputs[1] == product->outputs[0]) return false;
      attributes.activation_grad = true;
      attributes.activation = next.attributes.activation;
      attributes.alpha = next.attributes.alpha;
      product->inputs.push_back(next.inputs[1]);
      break;
    default:
      return false;
  }
  product->outputs[0] = next.outputs[0];
  return true;
}

// A product can also give what its activation was given, for the activation's gradient.
bool CanKeepInput(const Node& product, const Node& next) {
  return product.op == OpKind::kMatMul && next.op == OpKind::kActivate &&
         GradientNeedsInput(next.attributes.activation);
}

}  // namespace

void RemoveDeadNodes(Graph* graph) {
  std::vector<bool> live(graph->values().size());
  std::vector<Node> kept;
  for (size_t i = graph->nodes().size(); i-- > 0;) {
    const Node& node = graph->nodes()[i];
    const bool used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                  [&](Value value) { return live[Index(value)]; });
    if (!used && !HasEffect(*graph, node)) continue;
    for (const Value input : node.inputs) live[Index(input)] = true;
    kept.push_back(node);
  }
  std::reverse(kept.begin(), kept.end());
  graph->SetNodes(std::move(kept));
}

void FuseIntoProducts(Graph* graph) {
  std::vector<Node> nodes = graph->nodes();
  const std::vector<int> reads = CountReads(*graph, nodes);
  // The product or norm, if any, whose result this value is.
  std::vector<int> product_of(graph->values().size(), -1);
  // The place in `kept` of the node that makes each value.
  std::vector<int> made_at(graph->values().size(), -1);
  std::vector<Node> kept;
  for (Node& node : nodes) {
    // Of a sum, what is made last: it can take the other.
    Value x = node.inputs[0];
    Value other = node.inputs.size() < 2 ? Value() : node.inputs[1];
    if (node.op == OpKind::kAdd && made_at[Index(other)] > made_at[Index(x)]) std::swap(x, other);
    const int product = product_of[Index(x)];
    const bool ready = !other.valid() || made_at[Index(other)] <= product;
    const bool alone = reads[Index(x)] == 1 && !graph->info(x).output;
    if (product >= 0 && ready &&
        (alone || CanKeepInput(kept[static_cast<size_t>(product)], node)) &&
        Absorb(&kept[static_cast<size_t>(product)], x, node)) {
      if (!alone) {
        kept[static_cast<size_t>(product)].outputs.push_back(x);
        product_of[Index(x)] = -1;
      }
      product_of[Index(node.outputs[0])] = product;
      made_at[Index(node.outputs[0])] = product;
      continue;
    }
    for (const Value output : node.outputs) {
      made_at[Index(output)] = static_cast<int>(kept.size());
    }
    if (IsProduct(node.op) || IsBatchNorm(node.op)) {
      product_of[Index(node.outputs[0])] = static_cast<int>(kept.size());
    }
    kept.push_back(std::move(node));
  }
  graph->SetNodes(std::move(kept));
}

void FuseIntoBatchNormGrad(Graph* graph) {
  std::vector<Node> nodes = graph->nodes();
  const std::vector<int> reads = CountReads(*graph, nodes);
  std::vector<int> slope_at(graph->values().size(), -1);
  std::vector<bool> gone(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i) {
    Node& node = nodes[i];
    if (node.op == OpKind::kActivationGrad) {
      slope_at[Index(node.outputs[0])] = static_cast<int>(i);
      continue;
    }
    if (node.op != OpKind::kBatchNormGrad || node.attributes.activation_grad) continue;
    const Value dy = node.inputs[0];
    const int slope = slope_at[Index(dy)];
    if (slope < 0 || reads[Index(dy)] != 1) continue;
    const Node& before = nodes[static_cast<size_t>(slope)];
    node.inputs[0] = before.inputs[0];
    node.inputs.push_back(before.inputs[1]);
    node.attributes.activation_grad = true;
    node.attributes.activation = before.attributes.activation;
    node.attributes.alpha = before.attributes.alpha;
    gone[static_cast<size_t>(slope)] = true;
  }
  std::vector<Node> kept;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (!gone[i]) kept.push_back(std::move(nodes[i]));
  }
  graph->SetNodes(std::move(kept));
}

void HoistUpdates(Graph* graph) {
  const std::vector<Node>& nodes = graph->nodes();
  // Where each value is last made or read by something that is not an update.
  std::vector<size_t> last(graph->values().size(), 0);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op == OpKind::kUpdate) continue;
    for (const Value input : nodes[i].inputs) last[Index(input)] = i;
    for (const Value output : nodes[i].outputs) last[Index(output)] = i;
  }
  std::vector<std::pair<size_t, size_t>> order;  // (node to stand behind, own position)
  for (size_t i = 0; i < nodes.size(); ++i) {
    size_t after = i;
    if (nodes[i].op == OpKind::kUpdate) {
      after = 0;
      for (const Value input : nodes[i].inputs) after = std::max(after, last[Index(input)]);
    }
    order.emplace_back(after, i);
  }
  std::stable_sort(order.begin(), order.end());
  std::vector<Node> sorted;
  for (const auto& [after, position] : order) sorted.push_back(nodes[position]);
  graph->SetNodes(std::move(sorted));
}

void Optimize(Graph* graph, int recomputed_parts) {
  RemoveDeadNodes(graph);
  FuseIntoProducts(graph);
  FuseIntoBatchNormGrad(graph);
  Recompute(graph, recomputed_parts);
  HoistUpdates(graph);
}

}  // namespace beamline::engine
