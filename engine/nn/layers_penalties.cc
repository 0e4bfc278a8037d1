// Noise, latent codes and penalties of activities.
#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

void RequirePositive(const LayerContext& context, const char* what, double value) {
  if (value >= 0 && std::isfinite(value)) return;
  Fail("layer \"", context.name, "\": ", what, " must not be negative, got ", value);
}

// The layer's input comes from a sigmoid or softmax, so that it lies in (0, 1).
bool IsSquashed(const Graph& graph, Value x) {
  const auto made =
      std::find_if(graph.nodes().rbegin(), graph.nodes().rend(), [&](const Node& node) {
        return std::find(node.outputs.begin(), node.outputs.end(), x) != node.outputs.end();
      });
  return made != graph.nodes().rend() && made->op == OpKind::kActivate &&
         (made->attributes.activation == Activation::kSigmoid ||
          made->attributes.activation == Activation::kSoftmax);
}

}  // namespace

Value BuildNoise(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  context.RequireNumbers();
  RequirePositive(context, "deviation", layer.deviation);
  if (!(layer.rate >= 0 && layer.rate < 1)) {
    Fail("layer \"", context.name, "\": masking must be at least 0 and below 1, got ", layer.rate);
  }
  if (!context.training()) return context.x();
  Graph& graph = context.graph;
  Value x = context.x();
  if (layer.deviation > 0) {
    const Value deviation = context.Number("deviation", layer.deviation);
    x = graph.Add(context.name, x, graph.Gaussian(context.name, deviation, graph.shape(x)));
  }
  if (layer.rate > 0) x = graph.Mask(context.name, x, context.Number("masking", layer.rate));
  return x;
}

Value BuildLatent(const LayerContext& context) {
  context.RequireNumbers();
  RequirePositive(context, "beta", context.layer.beta);
  Graph& graph = context.graph;
  const Value x = context.x();
  if (context.mode != NetworkMode::kPrediction) {
    // The main loss is a mean over outputs where the bound has their sum.
    context.AddLoss(graph.LatentLoss(context.name, x, context.weights), "beta",
                    context.layer.beta / static_cast<double>(context.outputs_averaged));
  }
  const Shape shape = graph.shape(x);
  if (shape.rank() != 2 || shape.Columns() % 2 != 0) {
    Fail("layer \"", context.name,
         "\" takes means and log variances [batch, 2 * numbers] but gets ", shape,
         ": put a dense layer with an even number of units before it");
  }
  const int64_t numbers = shape.Columns() / 2;
  if (!context.training()) return graph.Slice(context.name, x, 0, numbers);
  const Value one = graph.Constant(context.name + ".one", {}, std::vector<double>{1});
  return graph.Sample(context.name, x, graph.Gaussian(context.name, one, {shape.Rows(), numbers}));
}

Value BuildActivityPenalty(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  context.RequireNumbers();
  RequirePositive(context, "l1", layer.l1);
  RequirePositive(context, "sparsity weight", layer.sparsity_weight);
  const Value x = context.x();
  if (layer.sparsity_weight > 0) {
    if (!(layer.sparsity_target > 0 && layer.sparsity_target < 1)) {
      Fail("layer \"", context.name, "\": the target activity must be between 0 and 1, got ",
           layer.sparsity_target);
    }
    if (!IsSquashed(context.graph, x)) {
      Fail(
          "layer \"", context.name,
          "\" has a target activity, but its input is not within 0 and 1: give the layer before it "
          "a sigmoid, or use l1");
    }
  }
  if (context.mode == NetworkMode::kPrediction) return x;
  Graph& graph = context.graph;
  if (layer.l1 > 0) {
    context.AddLoss(graph.ActivityLoss(context.name, x, context.weights, Value()), "l1", layer.l1);
  }
  if (layer.sparsity_weight > 0) {
    const Value target = context.Number("target", layer.sparsity_target);
    context.AddLoss(graph.ActivityLoss(context.name, x, context.weights, target), "sparsity_weight",
                    layer.sparsity_weight);
  }
  return x;
}

}  // namespace beamline::engine
