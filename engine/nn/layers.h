// Layers: how each kind is made of ops.
//
// A kind is one function, listed in one table with the number of inputs it takes. The layers of a
// family are in one file (layers_dense.cc, ...).
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/nn/network.h"

namespace beamline::engine {

// One layer about to be built.
struct LayerContext {
  Graph& graph;
  const LayerSpec& layer;
  // Of the layer: its parameters are called "<name>.weight", ...
  const std::string& name;
  std::span<const Value> inputs;  // as many as the table allows
  NetworkMode mode;
  int64_t batch;
  // Units of the last layer when the definition leaves them out; 0 for all others.
  int64_t default_units;
  // Numbers that the runner writes before each run (Network::rates).
  std::vector<std::pair<Value, double>>& rates;
  // Of graph networks; null if the data has none.
  const NodeGraph* nodes;
  // Event weights [batch]; no value in prediction, or where each row weighs 1.
  Value weights;
  // How many outputs the main loss is a mean over; 1 for losses of classes.
  int64_t outputs_averaged;
  // What is added to the main loss.
  std::vector<Value>& losses;
  // Steps of each row, codes [batch]; no value if all rows have all steps.
  Value lengths = Value();
  // The graph may hold this layer already, for another input: what is there is used again.
  bool shared = false;
  // Batch norm in training changes its running statistics.
  bool updates_statistics = true;
  // The most steps that the lengths count; 0: not known.
  int64_t sequence_steps = 0;
  // The sequence depends on "target": nothing there is seen by a step before it, padding neither.
  bool of_target = false;

  Value x() const { return inputs[0]; }
  const Shape& shape() const { return graph.shape(inputs[0]); }
  bool training() const { return mode == NetworkMode::kTraining; }
  // The layer's units, or the default; throws Error unless they are from 1 to 2^24.
  int64_t Units() const;
  // Throws Error if input `i` holds codes and not numbers.
  void RequireNumbers(size_t i = 0) const;
  // An input [] of the graph, "<name>.<what>", that holds `number`: rates may differ between
  // trials that share a graph.
  Value Number(const std::string& what, double number) const;
  // Adds `factor` (a Number "<name>.<what>") times `loss` to the main loss.
  void AddLoss(Value loss, const std::string& what, double factor) const;
  // "<name>.<what>". If the layer is shared, the one that is there: throws Error if it has another
  // shape.
  Value Parameter(const std::string& what, const Shape& shape, Initial initial) const;
  Value State(const std::string& what, const Shape& shape, double initial) const;
  Value Constant(const std::string& what, const Shape& shape,
                 std::span<const double> numbers) const;
};

inline constexpr int64_t kMaxUnits = int64_t{1} << 24;

using LayerBuilder = Value (*)(const LayerContext& context);

struct LayerRule {
  LayerBuilder build = nullptr;
  size_t min_inputs = 1;
  size_t max_inputs = 1;
};

// Throws Error if the kind is not built yet.
const LayerRule& RuleFor(LayerKind kind);

Value BuildDense(const LayerContext& context);
Value BuildActivation(const LayerContext& context);
Value BuildDropout(const LayerContext& context);
Value BuildBatchNorm(const LayerContext& context);
Value BuildLayerNorm(const LayerContext& context);
Value BuildEmbedding(const LayerContext& context);
Value BuildConcat(const LayerContext& context);
Value BuildAdd(const LayerContext& context);
Value BuildMultiply(const LayerContext& context);
Value BuildReshape(const LayerContext& context);
Value BuildSlice(const LayerContext& context);
Value BuildAttention(const LayerContext& context);
Value BuildPositions(const LayerContext& context);

Value BuildGraphConv(const LayerContext& context);
Value BuildGraphPool(const LayerContext& context);
Value BuildGather(const LayerContext& context);
Value BuildPair(const LayerContext& context);

Value BuildNoise(const LayerContext& context);
Value BuildLatent(const LayerContext& context);
Value BuildActivityPenalty(const LayerContext& context);

Value BuildConv(const LayerContext& context);
Value BuildConvTranspose(const LayerContext& context);
Value BuildMaxPool(const LayerContext& context);
Value BuildAveragePool(const LayerContext& context);
Value BuildGlobalPool(const LayerContext& context);
Value BuildGroupNorm(const LayerContext& context);
// A convolution with so many channels, by what else the layer says of it.
Value Convolve(const LayerContext& context, int64_t units);

Value BuildPrimaryCapsules(const LayerContext& context);
Value BuildCapsules(const LayerContext& context);
Value BuildCapsuleLength(const LayerContext& context);

Value BuildRnn(const LayerContext& context);
Value BuildLstm(const LayerContext& context);
Value BuildGru(const LayerContext& context);
Value BuildRepeat(const LayerContext& context);
Value BuildTranspose(const LayerContext& context);
Value BuildMemory(const LayerContext& context);

}  // namespace beamline::engine
