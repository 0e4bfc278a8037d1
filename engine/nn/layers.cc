#include "engine/nn/layers.h"

#include <array>
#include <limits>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

constexpr size_t kAny = std::numeric_limits<size_t>::max();

struct Entry {
  LayerKind kind;
  LayerRule rule;
};

constexpr Entry kEntries[] = {
    {LayerKind::kDense, {BuildDense}},
    {LayerKind::kActivation, {BuildActivation}},
    {LayerKind::kDropout, {BuildDropout}},
    {LayerKind::kBatchNorm, {BuildBatchNorm}},
    {LayerKind::kLayerNorm, {BuildLayerNorm}},
    {LayerKind::kEmbedding, {BuildEmbedding}},
    {LayerKind::kConcat, {BuildConcat, 1, kAny}},
    {LayerKind::kAdd, {BuildAdd, 2, kAny}},
    {LayerKind::kMultiply, {BuildMultiply, 2, kAny}},
    {LayerKind::kReshape, {BuildReshape}},

    {LayerKind::kGraphConv, {BuildGraphConv}},
    {LayerKind::kGraphPool, {BuildGraphPool}},
    {LayerKind::kGather, {BuildGather, 2, 2}},
    {LayerKind::kPair, {BuildPair, 2, 2}},
    {LayerKind::kSlice, {BuildSlice}},
    {LayerKind::kAttention, {BuildAttention, 1, 2}},
    {LayerKind::kPositions, {BuildPositions}},
    {LayerKind::kNoise, {BuildNoise}},
    {LayerKind::kLatent, {BuildLatent}},
    {LayerKind::kActivityPenalty, {BuildActivityPenalty}},
    {LayerKind::kConv, {BuildConv}},
    {LayerKind::kConvTranspose, {BuildConvTranspose}},
    {LayerKind::kMaxPool, {BuildMaxPool}},
    {LayerKind::kAveragePool, {BuildAveragePool}},
    {LayerKind::kGlobalPool, {BuildGlobalPool}},
    {LayerKind::kGroupNorm, {BuildGroupNorm}},
    {LayerKind::kRnn, {BuildRnn}},
    {LayerKind::kLstm, {BuildLstm}},
    {LayerKind::kGru, {BuildGru}},
    {LayerKind::kRepeat, {BuildRepeat}},
    {LayerKind::kTranspose, {BuildTranspose}},
    {LayerKind::kPrimaryCapsules, {BuildPrimaryCapsules}},
    {LayerKind::kCapsules, {BuildCapsules}},
    {LayerKind::kCapsuleLength, {BuildCapsuleLength}},
    {LayerKind::kMemory, {BuildMemory}},
};

// What a shared layer has by that name, or no value.
Value There(const LayerContext& context, const std::string& what, const Shape& shape) {
  const Value there = context.shared ? context.graph.Find(context.name + "." + what) : Value();
  if (there.valid() && context.graph.shape(there) != shape) {
    Fail("layer \"", context.name, "\" is applied to inputs of two shapes: its ", what,
         " would have shape ", context.graph.shape(there), " for one and ", shape,
         " for the other");
  }
  return there;
}

}  // namespace

const LayerRule& RuleFor(LayerKind kind) {
  for (const Entry& entry : kEntries) {
    if (entry.kind == kind) return entry.rule;
  }
  Fail("a layer is of a kind that this version does not have yet");
}

int64_t LayerContext::Units() const {
  const int64_t units = layer.units == 0 ? default_units : layer.units;
  if (units < 1 || units > kMaxUnits) {
    Fail("layer \"", name, "\" has ", units, " units: set units to a number from 1 to ", kMaxUnits);
  }
  return units;
}

void LayerContext::RequireNumbers(size_t i) const {
  if (graph.info(inputs[i]).dtype == graph.real()) return;
  Fail("layer \"", name, "\" cannot take codes: embed them first");
}

Value LayerContext::Parameter(const std::string& what, const Shape& shape, Initial initial) const {
  const Value there = There(*this, what, shape);
  return there.valid() ? there : graph.Parameter(name + "." + what, shape, initial);
}

Value LayerContext::State(const std::string& what, const Shape& shape, double initial) const {
  const Value there = There(*this, what, shape);
  return there.valid() ? there : graph.State(name + "." + what, shape, initial);
}

Value LayerContext::Constant(const std::string& what, const Shape& shape,
                             std::span<const double> numbers) const {
  const Value there = There(*this, what, shape);
  return there.valid() ? there : graph.Constant(name + "." + what, shape, numbers);
}

Value LayerContext::Number(const std::string& what, double number) const {
  const Value there = There(*this, what, Shape());
  if (there.valid()) return there;
  const Value value = graph.Number(name + "." + what);
  rates.emplace_back(value, number);
  return value;
}

void LayerContext::AddLoss(Value loss, const std::string& what, double factor) const {
  losses.push_back(graph.Multiply(name, loss, Number(what, factor)));
}

}  // namespace beamline::engine
