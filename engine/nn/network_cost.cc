// What a training costs, from its graph alone.
#include "engine/executor/executor.h"
#include "engine/nn/adversarial.h"
#include "engine/nn/network.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {
namespace {

// Of the two products of a kAttention node, each of [queries, keys, units]; the gradient has five.
int64_t AttentionFlops(const Graph& graph, const Node& node) {
  const bool gradient = node.op == OpKind::kAttentionGrad;
  const size_t first = gradient ? 1 : 0;
  const Shape& q = graph.shape(node.inputs[first]);
  const size_t behind = (gradient ? 2 : 0) + (node.attributes.has_lengths ? 1 : 0);
  const Shape& kv = graph.shape(node.inputs[node.inputs.size() - 1 - behind]);
  const int64_t units = node.inputs.size() - first - behind == 1 ? q.dim(2) / 3 : q.dim(2);
  const int64_t keys = kv.dim(1);
  const int64_t pairs = node.attributes.causal ? keys * (keys + 1) / 2 : q.dim(1) * keys;
  return (gradient ? 5 : 2) * 2 * q.dim(0) * pairs * units;
}

// Multiply-adds of a convolution or one of its gradients, which all pair the same elements: each
// position of the smaller image, or of the one that no zeros are put into, with each weight of a
// group and unit. Taps that look at padding count.
int64_t ConvProducts(const Graph& graph, const Node& node) {
  const bool by_weight = node.op == OpKind::kConvWeightGrad;
  const Shape& weight = graph.shape(by_weight ? node.outputs[0] : node.inputs[1]);
  const Shape& image = graph.shape(by_weight ? node.inputs[1] : node.outputs[0]);
  const Shape& enlarged = graph.shape(node.inputs[0]);
  const bool flip = node.attributes.window.flip;
  return (flip ? enlarged : image).Rows() * weight.NumElements();
}

// Of the products with a recurrent weight; 0 for other ops.
int64_t RecurrentFlops(const Graph& graph, const Node& node) {
  const bool forward = node.op == OpKind::kRecurrent;
  const bool backward =
      node.op == OpKind::kRecurrentGrad || node.op == OpKind::kRecurrentWeightGrad;
  if (!forward && !backward) return 0;
  const Shape& states = graph.shape(forward ? node.outputs[0] : node.inputs[0]);
  return 2 * states.NumElements() * Gates(node.attributes.cell) * states.Columns();
}

// Of the products with the weights of capsules' votes, and of routing, which multiplies the votes
// twice in each iteration; the gradient five times. 0 for other ops.
int64_t CapsuleFlops(const Graph& graph, const Node& node) {
  const int64_t iterations = node.attributes.iterations;
  switch (node.op) {
    case OpKind::kVotes:
      return 2 * graph.shape(node.outputs[0]).NumElements() * graph.shape(node.inputs[1]).dim(1);
    case OpKind::kVotesGrad:
      return 4 * graph.shape(node.inputs[0]).NumElements() * graph.shape(node.inputs[2]).dim(1);
    case OpKind::kRouting:
      return 2 * 2 * iterations * graph.shape(node.inputs[0]).NumElements();
    case OpKind::kRoutingGrad:
      return 5 * 2 * iterations * graph.shape(node.inputs[1]).NumElements();
    default:
      return 0;
  }
}

// Of a controller's products with what it sees and with its interface; 0 for other ops. Those of
// the memory itself are small.
int64_t MemoryFlops(const Graph& graph, const Node& node) {
  if (node.op != OpKind::kMemoryNetwork && node.op != OpKind::kMemoryNetworkGrad) return 0;
  const Shape& gates =
      graph.shape(node.op == OpKind::kMemoryNetwork ? node.inputs[0] : node.outputs[0]);
  const int64_t weights =
      graph.shape(node.inputs[1]).NumElements() + graph.shape(node.inputs[2]).NumElements();
  return 2 * gates.dim(0) * gates.dim(1) * weights;
}

int64_t ProductFlops(const Graph& graph) {
  int64_t flops = 0;
  for (const Node& node : graph.nodes()) {
    flops += RecurrentFlops(graph, node) + CapsuleFlops(graph, node) + MemoryFlops(graph, node);
    if (node.op == OpKind::kAttention || node.op == OpKind::kAttentionGrad) {
      flops += AttentionFlops(graph, node);
    }
    if (node.op == OpKind::kConv || node.op == OpKind::kConvWeightGrad) {
      flops += 2 * ConvProducts(graph, node);
    }
    if (node.op != OpKind::kMatMul) continue;
    const Shape& a = graph.shape(node.inputs[0]);
    const int64_t inner = node.attributes.transpose_a ? a.Rows() : a.Columns();
    flops += 2 * inner * graph.shape(node.outputs[0]).NumElements();
  }
  return flops;
}

}  // namespace

NetworkCost EstimateCost(const NetworkSpec& spec, const BatchLayout& layout) {
  NetworkCost cost;
  const Network training = BuildNetwork(spec, layout, spec.batch_size, NetworkMode::kTraining);
  const Network prediction = BuildNetwork(spec, layout, 1, NetworkMode::kPrediction);
  const Scratch scratch = ScratchFor(training.graph, FindBackend(spec.backend));
  cost.peak_bytes = PlanMemory(training.graph).peak_bytes() + scratch.shared_bytes +
                    spec.threads * scratch.per_thread_bytes;
  const bool averages = spec.averaging.kind != AveragingKind::kNone;
  for (const ValueInfo& info : training.graph.values()) {
    const int64_t elements = info.shape.NumElements();
    if (info.role == Role::kParameter) cost.parameters += elements;
    const bool weight = info.role == Role::kParameter ||
                        (info.role == Role::kState && !info.name.starts_with("optimizer/"));
    if (averages && weight) cost.peak_bytes += elements * SizeOf(info.dtype);
  }
  cost.flops_per_step = ProductFlops(training.graph);
  cost.flops_per_row = ProductFlops(prediction.graph);
  return cost;
}

NetworkCost EstimateCost(const AdversarialSpec& spec, const BatchLayout& layout) {
  NetworkCost cost;
  const Backend& backend = FindBackend(spec.backend);
  for (const AdversarialMode mode :
       {AdversarialMode::kDiscriminatorStep, AdversarialMode::kGeneratorStep}) {
    const AdversarialNetwork made = BuildAdversarial(spec, layout, spec.batch_size, mode);
    const Scratch scratch = ScratchFor(made.graph, backend);
    const MemoryPlan plan = PlanMemory(made.graph);
    cost.peak_bytes += plan.arena_bytes + plan.constant_bytes + scratch.shared_bytes +
                       spec.threads * scratch.per_thread_bytes;
    const bool generator = mode == AdversarialMode::kGeneratorStep;
    const std::string_view own = generator ? kGeneratorPrefix : kDiscriminatorPrefix;
    for (const ValueInfo& info : made.graph.values()) {
      if (info.role != Role::kParameter && info.role != Role::kState) continue;
      // The other network's variables are counted in its own step.
      const bool optimizer = info.name.starts_with("optimizer/");
      if (!optimizer && !info.name.starts_with(own)) continue;
      const int64_t elements = info.shape.NumElements();
      if (info.role == Role::kParameter) cost.parameters += elements;
      cost.peak_bytes += elements * SizeOf(info.dtype);
    }
    const int64_t flops = ProductFlops(made.graph);
    cost.flops_per_step += generator ? flops / spec.discriminator_steps : flops;
  }
  cost.flops_per_row =
      ProductFlops(BuildAdversarial(spec, layout, 1, AdversarialMode::kSampling).graph);
  return cost;
}

}  // namespace beamline::engine
