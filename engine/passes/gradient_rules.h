// How the gradient of each op is made, as nodes of the graph.
//
// A rule is one function per op, listed in one table. The rules of a family of ops are in one file
// (gradient_dense.cc, ...).
#pragma once

#include <vector>

#include "engine/graph/graph.h"

namespace beamline::engine {

// What reaches a value from above: nothing, exactly 1 (at the root), or a value.
struct Cotangent {
  enum class Kind : uint8_t { kNone, kOne, kValue } kind = Kind::kNone;
  Value value;
};

// What a rule works with. Appending nodes moves the graph's own: rules get a copy of theirs.
class GradientContext {
 public:
  GradientContext(Graph* graph, std::vector<bool> needed)
      : graph_(*graph), needed_(std::move(needed)), cotangents_(needed_.size()) {}

  const Graph& graph() const { return graph_; }
  const Shape& shape(Value value) const { return graph_.shape(value); }

  // The loss depends on a parameter through this value; rules skip what is not needed.
  bool Needed(Value value) const { return needed_[Index(value)]; }
  const Cotangent& Of(Value value) const { return cotangents_[Index(value)]; }
  void Set(Value value, const Cotangent& cotangent) { cotangents_[Index(value)] = cotangent; }

  // A new node with one output, or several.
  Value Append(OpKind op, const Node& of, std::vector<Value> inputs, const Shape& shape,
               const Attributes& attributes = {});
  std::vector<Value> AppendAll(OpKind op, const Node& of, std::vector<Value> inputs,
                               const std::vector<Shape>& shapes, const Attributes& attributes = {});

  // Adds `gradient` to what has reached `target`; nothing if the target is not needed.
  void Accumulate(Value target, Value gradient, const Node& node);
  // Hands on what reached a node's output, which may be the 1 at the root.
  void Pass(Value target, const Cotangent& from, const Node& node);

 private:
  static size_t Index(Value value) { return static_cast<size_t>(value.id); }

  Graph& graph_;
  std::vector<bool> needed_;  // of the values there were at the start
  std::vector<Cotangent> cotangents_;
};

// Passes the gradient dy of node.outputs[0] on to the node's inputs.
using GradientRule = void (*)(GradientContext& context, const Node& node, Value dy);

// Null: the op has no gradient, or (losses, sums, products) one that the driver knows.
GradientRule RuleFor(OpKind op);

void MatMulRule(GradientContext& context, const Node& node, Value dy);
void BiasAddRule(GradientContext& context, const Node& node, Value dy);
void ActivateRule(GradientContext& context, const Node& node, Value dy);
void DropoutRule(GradientContext& context, const Node& node, Value dy);
void BatchNormRule(GradientContext& context, const Node& node, Value dy);
void LayerNormRule(GradientContext& context, const Node& node, Value dy);
void EmbeddingRule(GradientContext& context, const Node& node, Value dy);
void AttentionRule(GradientContext& context, const Node& node, Value dy);
void RotaryRule(GradientContext& context, const Node& node, Value dy);
void ConcatRule(GradientContext& context, const Node& node, Value dy);
void SliceRule(GradientContext& context, const Node& node, Value dy);
void ReshapeRule(GradientContext& context, const Node& node, Value dy);

void SparseMatMulRule(GradientContext& context, const Node& node, Value dy);
void EdgeAddRule(GradientContext& context, const Node& node, Value dy);
void EdgeSoftmaxRule(GradientContext& context, const Node& node, Value dy);
void HeadDotRule(GradientContext& context, const Node& node, Value dy);
void RecurrentRule(GradientContext& context, const Node& node, Value dy);
void MemoryRule(GradientContext& context, const Node& node, Value dy);
void SequenceLastRule(GradientContext& context, const Node& node, Value dy);
void RepeatRule(GradientContext& context, const Node& node, Value dy);
void TransposeRule(GradientContext& context, const Node& node, Value dy);
void StepSumRule(GradientContext& context, const Node& node, Value dy);
void ConvRule(GradientContext& context, const Node& node, Value dy);
void MaxPoolRule(GradientContext& context, const Node& node, Value dy);
void AveragePoolRule(GradientContext& context, const Node& node, Value dy);
void ReduceRule(GradientContext& context, const Node& node, Value dy);
void GroupNormRule(GradientContext& context, const Node& node, Value dy);
void UnitRowsRule(GradientContext& context, const Node& node, Value dy);
void SampleRule(GradientContext& context, const Node& node, Value dy);
void SquashRule(GradientContext& context, const Node& node, Value dy);
void RowLengthRule(GradientContext& context, const Node& node, Value dy);
void VotesRule(GradientContext& context, const Node& node, Value dy);
void RoutingRule(GradientContext& context, const Node& node, Value dy);

// Of gradients (gradient_second.cc).
void ActivationGradRule(GradientContext& context, const Node& node, Value dy);
void LayerNormGradRule(GradientContext& context, const Node& node, Value dy);
void SliceGradRule(GradientContext& context, const Node& node, Value dy);
void AveragePoolGradRule(GradientContext& context, const Node& node, Value dy);
void ReduceGradRule(GradientContext& context, const Node& node, Value dy);

}  // namespace beamline::engine
