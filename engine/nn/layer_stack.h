// The layers of one network as nodes of a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/nn/network.h"

namespace beamline::engine {

// Gives what layers may take beside earlier layers: "features", "codes", "nodes" or "target".
// Throws Error, naming the layer, if the data has no such input.
using NamedInput = std::function<Value(const std::string& layer, const std::string& name)>;

// What is to be appended. The definition must outlive the call.
struct LayerStack {
  std::span<const LayerSpec> layers;
  NetworkMode mode = NetworkMode::kTraining;
  int64_t batch = 0;
  NamedInput input;
  // Before the names of layers, and so of parameters: tells the networks of one graph apart.
  std::string prefix;
  // Units of the last layer where the definition leaves them out.
  int64_t last_units = 0;
  // How many outputs the main loss is a mean over; 1 for losses of classes.
  int64_t outputs_averaged = 1;
  const NodeGraph* nodes = nullptr;
  Value weights = Value();
  Value lengths = Value();
  // The most steps that the lengths count; 0: not known.
  int64_t sequence_steps = 0;
  // "target" is an input. Sequences that depend on it are not what the lengths count.
  bool has_target_codes = false;
  // The graph may hold these layers already: this is the same network of another input, with the
  // same parameters, running statistics and numbers.
  bool shared = false;
  // Without it batch norm in training goes by its batch but leaves the running statistics alone.
  bool updates_statistics = true;
};

// Appends the layers in order; returns the output of the last. Adds to `rates` the numbers that a
// runner writes before each run, and to `losses` what layers add to the main loss.
//
// Throws Error, naming the layer and what to change, if the layers cannot be wired, or if they are
// there already but for an input of another shape.
Value AppendLayers(Graph* graph, const LayerStack& stack,
                   std::vector<std::pair<Value, double>>* rates, std::vector<Value>* losses);

}  // namespace beamline::engine
