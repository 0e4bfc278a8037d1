#include "engine/passes/gradient_rules.h"

#include <array>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

using RuleTable = std::array<GradientRule, kOpKinds>;

constexpr RuleTable MakeRules() {
  RuleTable rules{};
  const auto set = [&](OpKind op, GradientRule rule) { rules[static_cast<size_t>(op)] = rule; };
  set(OpKind::kMatMul, MatMulRule);
  set(OpKind::kBiasAdd, BiasAddRule);
  set(OpKind::kActivate, ActivateRule);
  set(OpKind::kDropout, DropoutRule);
  set(OpKind::kBatchNorm, BatchNormRule);
  set(OpKind::kLayerNorm, LayerNormRule);
  set(OpKind::kEmbedding, EmbeddingRule);
  set(OpKind::kAttention, AttentionRule);
  set(OpKind::kRotary, RotaryRule);
  set(OpKind::kConcat, ConcatRule);
  set(OpKind::kSlice, SliceRule);
  set(OpKind::kReshape, ReshapeRule);

  set(OpKind::kSparseMatMul, SparseMatMulRule);
  set(OpKind::kEdgeAdd, EdgeAddRule);
  set(OpKind::kEdgeSoftmax, EdgeSoftmaxRule);
  set(OpKind::kHeadDot, HeadDotRule);
  set(OpKind::kRecurrent, RecurrentRule);
  set(OpKind::kMemoryNetwork, MemoryRule);
  set(OpKind::kSequenceLast, SequenceLastRule);
  set(OpKind::kRepeat, RepeatRule);
  set(OpKind::kStepSum, StepSumRule);
  set(OpKind::kTranspose, TransposeRule);
  set(OpKind::kConv, ConvRule);
  set(OpKind::kMaxPool, MaxPoolRule);
  set(OpKind::kAveragePool, AveragePoolRule);
  set(OpKind::kReduce, ReduceRule);
  set(OpKind::kGroupNorm, GroupNormRule);
  set(OpKind::kUnitRows, UnitRowsRule);
  set(OpKind::kSample, SampleRule);
  set(OpKind::kSquash, SquashRule);
  set(OpKind::kRowLength, RowLengthRule);
  set(OpKind::kVotes, VotesRule);
  set(OpKind::kRouting, RoutingRule);

  set(OpKind::kActivationGrad, ActivationGradRule);
  set(OpKind::kLayerNormGrad, LayerNormGradRule);
  set(OpKind::kSliceGrad, SliceGradRule);
  set(OpKind::kAveragePoolGrad, AveragePoolGradRule);
  set(OpKind::kReduceGrad, ReduceGradRule);
  return rules;
}

constexpr RuleTable kRules = MakeRules();

}  // namespace

GradientRule RuleFor(OpKind op) { return kRules[static_cast<size_t>(op)]; }

Value GradientContext::Append(OpKind op, const Node& of, std::vector<Value> inputs,
                              const Shape& shape, const Attributes& attributes) {
  return AppendAll(op, of, std::move(inputs), {shape}, attributes)[0];
}

std::vector<Value> GradientContext::AppendAll(OpKind op, const Node& of, std::vector<Value> inputs,
                                              const std::vector<Shape>& shapes,
                                              const Attributes& attributes) {
  return graph_.Append(op, of.name, std::move(inputs), shapes, attributes).outputs;
}

void GradientContext::Accumulate(Value target, Value gradient, const Node& node) {
  if (!Needed(target)) return;
  Cotangent& cotangent = cotangents_[Index(target)];
  if (cotangent.kind == Cotangent::Kind::kValue) {
    gradient = Append(OpKind::kAdd, node, {cotangent.value, gradient}, Shape(shape(target)));
  }
  cotangent = {Cotangent::Kind::kValue, gradient};
}

void GradientContext::Pass(Value target, const Cotangent& from, const Node& node) {
  if (!Needed(target)) return;
  if (from.kind == Cotangent::Kind::kValue) return Accumulate(target, from.value, node);
  if (Of(target).kind != Cotangent::Kind::kNone) {
    Fail("the loss \"", node.name, "\" is added to itself: multiply it by a number instead");
  }
  Set(target, from);
}

}  // namespace beamline::engine
