#include "engine/passes/fusion.h"

#include <algorithm>
#include <utility>
#include <vector>

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

// True if `next` does to `product`'s result something that the product can do by itself; the
// product then does it.
bool Absorb(Node* product, const Node& next) {
  Attributes& attributes = product->attributes;
  const bool activated = attributes.activation != Activation::kLinear;
  switch (next.op) {
    case OpKind::kBiasAdd:
      if (attributes.has_bias || activated) return false;
      attributes.has_bias = true;
      product->inputs.push_back(next.inputs[1]);
      break;
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

void FuseIntoMatMul(Graph* graph) {
  std::vector<Node> nodes = graph->nodes();
  const std::vector<int> reads = CountReads(*graph, nodes);
  // The product, if any, whose sole result this value is.
  std::vector<int> product_of(graph->values().size(), -1);
  // The place in `kept` of the node that makes each value.
  std::vector<int> made_at(graph->values().size(), -1);
  std::vector<Node> kept;
  for (Node& node : nodes) {
    const Value x = node.inputs[0];
    const int product = product_of[Index(x)];
    const bool ready = node.inputs.size() < 2 || made_at[Index(node.inputs[1])] <= product;
    if (product >= 0 && ready && reads[Index(x)] == 1 && !graph->info(x).output &&
        Absorb(&kept[static_cast<size_t>(product)], node)) {
      product_of[Index(node.outputs[0])] = product;
      made_at[Index(node.outputs[0])] = product;
      continue;
    }
    for (const Value output : node.outputs) {
      made_at[Index(output)] = static_cast<int>(kept.size());
    }
    if (node.op == OpKind::kMatMul) {
      product_of[Index(node.outputs[0])] = static_cast<int>(kept.size());
    }
    kept.push_back(std::move(node));
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

void Optimize(Graph* graph) {
  RemoveDeadNodes(graph);
  FuseIntoMatMul(graph);
  HoistUpdates(graph);
}

}  // namespace beamline::engine
