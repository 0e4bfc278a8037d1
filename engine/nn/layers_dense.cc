// Dense layers, normalisation, dropout, embedding, and layers that join or reshape.
#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

Value Fold(const LayerContext& context,
           Value (Graph::*join)(const std::string& name, Value a, Value b)) {
  Value result = context.inputs[0];
  for (size_t i = 1; i < context.inputs.size(); ++i) {
    result = (context.graph.*join)(context.name, result, context.inputs[i]);
  }
  return result;
}

struct ScaleAndShift {
  Value gamma;
  Value beta;
};

ScaleAndShift NormParameters(const LayerContext& context) {
  if (!(context.layer.epsilon > 0)) {
    Fail("layer \"", context.name, "\": epsilon must be positive");
  }
  const Shape columns({context.shape().Columns()});
  const Value gamma = context.Parameter("gamma", columns, {Initial::Kind::kConstant, 1});
  return {gamma, context.Parameter("beta", columns, {})};
}

}  // namespace

Value BuildDense(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  const int64_t units = context.Units();
  context.RequireNumbers();
  const int64_t inputs = context.shape().Columns();
  if (layer.expected_inputs > 0 && layer.expected_inputs != inputs) {
    Fail("layer \"", context.name, "\" expects ", layer.expected_inputs, " inputs but gets ",
         inputs, ": set inputs to ", inputs, " or change the layer before it");
  }
  const Initial initial = InitialWeight(layer.initializer, layer.activation, inputs, units);
  const Value weight = context.Parameter("weight", {inputs, units}, initial);
  const Value bias = layer.bias ? context.Parameter("bias", {units}, {}) : Value();
  return context.graph.Dense(context.name, context.x(), weight, bias, layer.activation);
}

Value BuildActivation(const LayerContext& context) {
  return context.graph.Activate(context.name, context.x(), context.layer.activation);
}

Value BuildDropout(const LayerContext& context) {
  const double rate = context.layer.rate;
  if (!(rate >= 0 && rate < 1)) {
    Fail("layer \"", context.name, "\": the rate must be at least 0 and below 1, got ", rate);
  }
  if (!context.training()) return context.x();
  return context.graph.Dropout(context.name, context.x(), context.Number("rate", rate));
}

Value BuildLayerNorm(const LayerContext& context) {
  const auto [gamma, beta] = NormParameters(context);
  return context.graph.LayerNorm(context.name, context.x(), gamma, beta, context.layer.epsilon);
}

Value BuildBatchNorm(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  const auto [gamma, beta] = NormParameters(context);
  if (!(layer.momentum >= 0 && layer.momentum < 1)) {
    Fail("layer \"", context.name, "\": momentum must be at least 0 and below 1, got ",
         layer.momentum);
  }
  const Shape columns({context.shape().Columns()});
  const Value mean = context.State("running_mean", columns, 0);
  const Value variance = context.State("running_variance", columns, 1);
  if (context.training()) {
    // With a momentum of 1 they stay as they are.
    const double momentum = context.updates_statistics ? layer.momentum : 1;
    return context.graph.BatchNorm(context.name, context.x(), gamma, beta, mean, variance, momentum,
                                   layer.epsilon);
  }
  return context.graph.BatchNormInference(context.name, context.x(), gamma, beta, mean, variance,
                                          layer.epsilon);
}

// One table for all code columns.
static Value BuildTokens(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  if (layer.categories.size() != 1 || layer.categories[0] < 1 || layer.categories[0] > kMaxUnits) {
    Fail("layer \"", context.name,
         "\" embeds tokens with one table: give it one number of categories, from 1 to ",
         kMaxUnits);
  }
  const int64_t steps = context.shape().Columns();
  const Value table =
      context.Parameter("table", {layer.categories[0], layer.units}, InitialTable(layer.units));
  const Value rows = context.graph.Embedding(context.name, table, context.x(),
                                             std::vector<int64_t>(static_cast<size_t>(steps), 0));
  return context.graph.Reshape(context.name, rows, {context.batch, steps, layer.units});
}

Value BuildEmbedding(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  const int64_t columns = context.shape().Columns();
  if (layer.units < 1 || layer.units > kMaxUnits) {
    Fail("layer \"", context.name, "\" has dimension ", layer.units, ": set it to at least 1");
  }
  if (layer.tokens) return BuildTokens(context);
  const auto given = static_cast<int64_t>(layer.categories.size());
  if (given != 1 && given != columns) {
    Fail("layer \"", context.name, "\" has numbers of categories for ", given,
         " code columns but the data has ", columns, ": give one number, or one per column");
  }
  std::vector<int64_t> offsets;
  int64_t total = 0;
  for (int64_t c = 0; c < columns; ++c) {
    const int64_t categories = layer.categories[static_cast<size_t>(given == 1 ? 0 : c)];
    if (categories < 1 || categories > kMaxUnits) {
      Fail("layer \"", context.name, "\" has ", categories, " categories for code column ", c,
           ": set it to a number from 1 to ", kMaxUnits);
    }
    offsets.push_back(total);
    total += categories;
  }
  const Value table = context.Parameter("table", {total, layer.units}, InitialTable(layer.units));
  return context.graph.Embedding(context.name, table, context.x(), offsets);
}

Value BuildConcat(const LayerContext& context) {
  return context.graph.Concat(context.name, context.inputs);
}

Value BuildAdd(const LayerContext& context) { return Fold(context, &Graph::Add); }

Value BuildMultiply(const LayerContext& context) { return Fold(context, &Graph::Multiply); }

Value BuildSlice(const LayerContext& context) {
  context.RequireNumbers();
  return context.graph.Slice(context.name, context.x(), context.layer.begin, context.layer.units);
}

Value BuildReshape(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  if (layer.shape.empty()) return context.graph.Flatten(context.name, context.x());
  std::vector<int64_t> extents = {context.batch};
  extents.insert(extents.end(), layer.shape.begin(), layer.shape.end());
  return context.graph.Reshape(context.name, context.x(), Shape(extents));
}

}  // namespace beamline::engine
