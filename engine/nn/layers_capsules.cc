// Layers of capsules.
#include <algorithm>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

void RequireNumber(const LayerContext& context, const char* what, int64_t number) {
  if (number >= 1 && number <= kMaxUnits) return;
  Fail("layer \"", context.name, "\" has ", number, " in ", what, ": set it to a number from 1 to ",
       kMaxUnits);
}

// The numbers of all capsules together.
int64_t Numbers(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  RequireNumber(context, "count", layer.capsules);
  RequireNumber(context, "dimension", layer.dimension);
  RequireNumber(context, "count times dimension", layer.capsules * layer.dimension);
  return layer.capsules * layer.dimension;
}

}  // namespace

Value BuildPrimaryCapsules(const LayerContext& context) {
  const Value y = Convolve(context, Numbers(context));
  const int64_t dimension = context.layer.dimension;
  const int64_t capsules = context.graph.shape(y).NumElements() / context.batch / dimension;
  return context.graph.Squash(
      context.name, context.graph.Reshape(context.name, y, {context.batch, capsules, dimension}));
}

Value BuildCapsules(const LayerContext& context) {
  context.RequireNumbers();
  const int64_t numbers = Numbers(context);
  const Shape& shape = context.shape();
  if (shape.rank() != 3) {
    Fail("layer \"", context.name, "\" expects capsules [batch, capsules, dimension] but gets ",
         shape, ": put primary_capsules before it");
  }
  const Value weight =
      context.Parameter("weight", {shape.dim(1), shape.dim(2), numbers},
                        InitialWeight(context.layer.initializer, Activation::kLinear, shape.dim(2),
                                      context.layer.dimension));
  return context.graph.Routing(context.name, context.graph.Votes(context.name, context.x(), weight),
                               context.layer.capsules, context.layer.iterations);
}

Value BuildCapsuleLength(const LayerContext& context) {
  context.RequireNumbers();
  return context.graph.CapsuleLength(context.name, context.x());
}

}  // namespace beamline::engine
