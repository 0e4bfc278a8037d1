#include "engine/passes/autodiff.h"

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// The gradient that has reached a value: none, exactly one (at the root), or a value.
struct Cotangent {
  enum class Kind { kNone, kOne, kValue } kind = Kind::kNone;
  Value value;
};

class Differentiator {
 public:
  Differentiator(Graph* graph, Value loss, std::span<const Value> parameters)
      : graph_(*graph), needed_(graph->values().size()), cotangents_(graph->values().size()) {
    for (const Value parameter : parameters) needed_[Index(parameter)] = true;
    const size_t forward_nodes = graph_.nodes().size();
    for (const Node& node : graph_.nodes()) {
      for (const Value input : node.inputs) {
        if (!needed_[Index(input)]) continue;
        for (const Value output : node.outputs) needed_[Index(output)] = true;
      }
    }
    cotangents_[Index(loss)].kind = Cotangent::Kind::kOne;
    for (size_t i = forward_nodes; i-- > 0;) {
      // A copy: appending moves the nodes.
      const Node node = graph_.nodes()[i];
      Differentiate(node);
    }
  }

  Value GradientOf(Value parameter) const { return cotangents_[Index(parameter)].value; }

 private:
  static size_t Index(Value value) { return static_cast<size_t>(value.id); }
  bool Needed(Value value) const { return needed_[Index(value)]; }

  Value Append(OpKind op, const Node& of, std::vector<Value> inputs, const Shape& shape,
               const Attributes& attributes) {
    return graph_.Append(op, of.name, std::move(inputs), {shape}, attributes).outputs[0];
  }

  void Accumulate(Value target, Value gradient, const Node& node) {
    if (!Needed(target)) return;
    Cotangent& cotangent = cotangents_[Index(target)];
    if (cotangent.kind == Cotangent::Kind::kValue) {
      gradient = Append(OpKind::kAdd, node, {cotangent.value, gradient}, graph_.shape(target), {});
    }
    cotangent = {Cotangent::Kind::kValue, gradient};
  }

  void Pass(Value target, const Cotangent& from, const Node& node) {
    if (!Needed(target)) return;
    if (from.kind == Cotangent::Kind::kValue) return Accumulate(target, from.value, node);
    if (cotangents_[Index(target)].kind != Cotangent::Kind::kNone) {
      Fail("the loss \"", node.name, "\" is added to itself: multiply it by a number instead");
    }
    cotangents_[Index(target)] = from;
  }

  void Differentiate(const Node& node) {
    if (node.outputs.empty()) return;
    const Cotangent dy = cotangents_[Index(node.outputs[0])];
    if (dy.kind == Cotangent::Kind::kNone || !Needed(node.outputs[0])) return;
    switch (node.op) {
      case OpKind::kLoss:
        return LossGradient(node, dy);
      case OpKind::kAdd:
        Pass(node.inputs[0], dy, node);
        return Pass(node.inputs[1], dy, node);
      case OpKind::kMultiply:
        return MultiplyGradient(node, dy);
      default:
        break;
    }
    if (dy.kind != Cotangent::Kind::kValue) {
      Fail("what is differentiated must be a loss, or a sum of losses, but \"", node.name,
           "\" is the output of ", Name(node.op));
    }
    ValueGradient(node, dy.value);
  }

  void ValueGradient(const Node& node, Value dy) {
    const Value x = node.inputs[0];
    switch (node.op) {
      case OpKind::kMatMul:
        return MatMulGradient(node, dy);
      case OpKind::kBiasAdd:
        Accumulate(x, dy, node);
        if (Needed(node.inputs[1])) {
          const Shape& shape = graph_.shape(node.inputs[1]);
          Accumulate(node.inputs[1], Append(OpKind::kColumnSum, node, {dy}, shape, {}), node);
        }
        return;
      case OpKind::kActivation:
        return ActivationGradient(node, dy);
      case OpKind::kDropout:
        return Accumulate(
            x, Append(node.op, node, {dy, node.inputs[1]}, graph_.shape(x), node.attributes), node);
      case OpKind::kBatchNorm:
        return NormGradient(node, dy, OpKind::kBatchNormGrad);
      case OpKind::kLayerNorm:
        return NormGradient(node, dy, OpKind::kLayerNormGrad);
      case OpKind::kEmbedding:
        return Accumulate(x,
                          Append(OpKind::kEmbeddingGrad, node, {dy, node.inputs[1]},
                                 graph_.shape(x), node.attributes),
                          node);
      case OpKind::kConcat:
        return ConcatGradient(node, dy);
      case OpKind::kReshape:
        return Accumulate(x, Append(OpKind::kReshape, node, {dy}, graph_.shape(x), {}), node);
      default:
        Fail("layer \"", node.name, "\" cannot be trained through: ", Name(node.op),
             " has no gradient");
    }
  }

  void LossGradient(const Node& node, const Cotangent& dy) {
    if (!Needed(node.inputs[0])) return;
    std::vector<Value> inputs = node.inputs;
    inputs.push_back(node.outputs[1]);
    Attributes attributes = node.attributes;
    if (dy.kind == Cotangent::Kind::kValue) {
      attributes.has_scale = true;
      inputs.push_back(dy.value);
    }
    const Shape shape = graph_.shape(node.inputs[0]);
    Accumulate(node.inputs[0], Append(OpKind::kLossGrad, node, inputs, shape, attributes), node);
  }

  void MultiplyGradient(const Node& node, const Cotangent& dy) {
    for (int i = 0; i < 2; ++i) {
      const Value target = node.inputs[static_cast<size_t>(i)];
      const Value other = node.inputs[static_cast<size_t>(1 - i)];
      if (!Needed(target)) continue;
      if (dy.kind == Cotangent::Kind::kOne) {
        Accumulate(target, other, node);
      } else {
        Accumulate(target,
                   Append(OpKind::kMultiply, node, {dy.value, other}, graph_.shape(target), {}),
                   node);
      }
    }
  }

  // y = op(a) op(b), op being the transpose or not.
  void MatMulGradient(const Node& node, Value dy) {
    const Value a = node.inputs[0];
    const Value b = node.inputs[1];
    const bool ta = node.attributes.transpose_a;
    const bool tb = node.attributes.transpose_b;
    const auto product = [&](Value left, Value right, bool tl, bool tr, Value target) {
      Attributes attributes;
      attributes.transpose_a = tl;
      attributes.transpose_b = tr;
      const Shape shape = graph_.shape(target);
      Accumulate(target, Append(OpKind::kMatMul, node, {left, right}, shape, attributes), node);
    };
    if (Needed(a)) {
      if (ta) {
        product(b, dy, tb, true, a);
      } else {
        product(dy, b, false, !tb, a);
      }
    }
    if (Needed(b)) {
      if (tb) {
        product(dy, a, true, ta, b);
      } else {
        product(a, dy, !ta, false, b);
      }
    }
  }

  void ActivationGradient(const Node& node, Value dy) {
    const Activation activation = node.attributes.activation;
    const Value x = node.inputs[0];
    const Value y = node.outputs[0];
    const bool softmax = activation == Activation::kSoftmax;
    const Value saved = GradientNeedsInput(activation) ? x : y;
    Accumulate(x,
               Append(softmax ? OpKind::kSoftmaxGrad : OpKind::kActivationGrad, node, {dy, saved},
                      graph_.shape(x), node.attributes),
               node);
  }

  void NormGradient(const Node& node, Value dy, OpKind op) {
    const Value x = node.inputs[0];
    const Value gamma = node.inputs[1];
    const Value beta = node.inputs[2];
    const std::vector<Shape> shapes = {graph_.shape(x), graph_.shape(gamma), graph_.shape(beta)};
    const std::vector<Value> out =
        graph_
            .Append(op, node.name, {dy, x, gamma, node.outputs[1], node.outputs[2]}, shapes,
                    node.attributes)
            .outputs;
    Accumulate(x, out[0], node);
    Accumulate(gamma, out[1], node);
    Accumulate(beta, out[2], node);
  }

  void ConcatGradient(const Node& node, Value dy) {
    int64_t begin = 0;
    for (const Value part : node.inputs) {
      const Shape shape = graph_.shape(part);
      if (Needed(part)) {
        Attributes attributes;
        attributes.begin = begin;
        Accumulate(part, Append(OpKind::kSlice, node, {dy}, shape, attributes), node);
      }
      begin += shape.Columns();
    }
  }

  Graph& graph_;
  std::vector<bool> needed_;  // of the values there were at the start
  std::vector<Cotangent> cotangents_;
};

}  // namespace

std::vector<Value> AppendGradients(Graph* graph, Value loss, std::span<const Value> parameters) {
  if (graph->shape(loss) != Shape()) {
    Fail("what is differentiated must be a single number, not ", graph->shape(loss));
  }
  const Differentiator differentiator(graph, loss, parameters);
  std::vector<Value> gradients;
  for (const Value parameter : parameters) {
    gradients.push_back(differentiator.GradientOf(parameter));
  }
  return gradients;
}

}  // namespace beamline::engine
