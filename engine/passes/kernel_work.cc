#include "engine/passes/kernel_work.h"

#include <algorithm>

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

int64_t MatMulFlops(const Graph& graph, const Node& node) {
  const Shape& a = graph.shape(node.inputs[0]);
  const int64_t inner = node.attributes.transpose_a ? a.Rows() : a.Columns();
  return 2 * inner * graph.shape(node.outputs[0]).NumElements();
}

bool IsConv(OpKind op) { return op == OpKind::kConv || op == OpKind::kConvWeightGrad; }

// Products this narrow, and images of so few channels, leave parts of the vectors empty.
constexpr int64_t kNarrow = 16;

std::string MatMulName(const Graph& graph, const Node& node) {
  std::string name(Name(node.op));
  if (node.attributes.transpose_a) name += ".transposed_a";
  if (node.attributes.transpose_b) name += ".transposed_b";
  if (graph.shape(node.outputs[0]).Columns() < kNarrow) name += ".narrow";
  return name;
}

std::string ConvName(const Graph& graph, const Node& node) {
  std::string name(Name(node.op));
  if (node.attributes.window.flip) name += ".flipped";
  if (node.attributes.window.groups > 1) {
    name += ".grouped";
  } else if (graph.shape(node.inputs[0]).Columns() < kNarrow / 2) {
    name += ".narrow";
  }
  return name;
}

// Whose formula the kernel computes; kLinear: none that takes time.
Activation FusedActivation(const Node& node) {
  switch (node.op) {
    case OpKind::kMatMul:
    case OpKind::kConv:
    case OpKind::kBatchNorm:
    case OpKind::kBatchNormInference:
    case OpKind::kBiasAdd:
      return node.attributes.activation == Activation::kRelu ? Activation::kLinear
                                                             : node.attributes.activation;
    default:
      return Activation::kLinear;
  }
}

std::string KernelName(const Graph& graph, const Node& node) {
  std::string name(Name(node.op));
  switch (node.op) {
    case OpKind::kMatMul:
      name = MatMulName(graph, node);
      break;
    case OpKind::kConv:
    case OpKind::kConvWeightGrad:
      name = ConvName(graph, node);
      break;
    case OpKind::kActivate:
    case OpKind::kActivationGrad:
      name += "." + std::string(Name(node.attributes.activation));
      break;
    case OpKind::kRecurrent:
    case OpKind::kRecurrentGrad:
    case OpKind::kRecurrentWeightGrad:
      name += "." + std::string(Name(node.attributes.cell));
      break;
    case OpKind::kLoss:
    case OpKind::kLossGrad:
      name += "." + std::string(Name(node.attributes.loss));
      break;
    case OpKind::kUpdate:
      name +=
          node.attributes.rule == UpdateRule::kSgd || node.attributes.rule == UpdateRule::kMomentum
              ? ".plain"
              : ".adaptive";
      break;
    default:
      break;
  }
  const Activation fused = FusedActivation(node);
  if (fused != Activation::kLinear) {
    name += (node.attributes.activation_grad ? "/grad." : "/") + std::string(Name(fused));
  }
  return name;
}

// How often the kernel reads its weights: once for each step of a sequence.
int64_t Steps(const Graph& graph, const Node& node) {
  switch (node.op) {
    case OpKind::kRecurrent:
    case OpKind::kRecurrentGrad:
    case OpKind::kMemoryNetwork:
    case OpKind::kMemoryNetworkGrad:
      return graph.shape(node.inputs[0]).dim(1);
    default:
      return 1;
  }
}

KernelWork WorkOf(const Graph& graph, const Node& node) {
  KernelWork work;
  work.kernel = KernelName(graph, node);
  double elements = 0;
  const auto add = [&](Value value) {
    const ValueInfo& info = graph.info(value);
    const bool weight = info.role == Role::kParameter;
    const auto times = static_cast<double>(weight ? Steps(graph, node) : 1);
    const auto count = static_cast<double>(info.shape.NumElements());
    elements += count;
    work.bytes += times * count * static_cast<double>(SizeOf(info.dtype));
  };
  for (const Value value : node.inputs) add(value);
  for (const Value value : node.outputs) add(value);
  const auto products = static_cast<double>(ProductFlops(graph, node));
  work.flops = products > 0 ? products : elements;
  return work;
}

}  // namespace

int64_t ProductFlops(const Graph& graph, const Node& node) {
  if (node.op == OpKind::kMatMul) return MatMulFlops(graph, node);
  if (IsConv(node.op)) return 2 * ConvProducts(graph, node);
  if (node.op == OpKind::kAttention || node.op == OpKind::kAttentionGrad) {
    return AttentionFlops(graph, node);
  }
  return RecurrentFlops(graph, node) + CapsuleFlops(graph, node) + MemoryFlops(graph, node);
}

int64_t ProductFlops(const Graph& graph) {
  int64_t flops = 0;
  for (const Node& node : graph.nodes()) flops += ProductFlops(graph, node);
  return flops;
}

std::vector<KernelWork> WorkOf(const Graph& graph) {
  std::vector<KernelWork> work;
  for (const Node& node : graph.nodes()) {
    if (node.op != OpKind::kReshape) work.push_back(WorkOf(graph, node));
  }
  return work;
}

}  // namespace beamline::engine
