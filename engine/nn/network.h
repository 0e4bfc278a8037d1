// Graphs made of a NetworkSpec.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/learners/batch_source.h"
#include "engine/nn/network_spec.h"
#include "engine/optim/optimizer.h"

namespace beamline::engine {

enum class NetworkMode : uint8_t {
  kTraining,    // loss, gradients and updates; dropout and batch statistics
  kEvaluation,  // loss and outputs; always takes weights, so that padding rows can weigh 0
  kPrediction,  // outputs and probabilities; takes no target
};

// An optimised graph and its values of interest; those that a mode lacks are no values.
struct Network {
  Graph graph;
  int64_t batch = 0;
  // Inputs, to be written before each run.
  Value features;       // [batch, features]
  Value codes;          // [batch, code columns]
  Value labels;         // [batch], codes: cross-entropy
  Value targets;        // [batch, outputs]: all other losses
  Value weights;        // [batch]
  Value class_weights;  // [classes]
  // Dropout rates by number input.
  std::vector<std::pair<Value, double>> rates;
  UpdateInputs update;
  // Outputs.
  Value loss;           // []
  Value weight_sum;     // []
  Value output;         // [batch, outputs]: the last layer
  Value probabilities;  // [batch, outputs]; kPrediction
};

// Parameters are called "<layer>.weight", ".bias", ".gamma", ".beta", ".table", running statistics
// "<layer>.running_mean" and ".running_variance".
//
// Throws Error, naming the layer and what to change, if the network cannot be wired, does not fit
// the layout, or a number of the spec makes no sense.
Network BuildNetwork(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch,
                     NetworkMode mode);

// The outputs that objective, loss and layout need: features, classes, 1, or targets. Throws Error
// if they do not fit each other.
int64_t OutputsNeeded(const NetworkSpec& spec, const BatchLayout& layout);

// What one training of the network costs, known without running it.
struct NetworkCost {
  int64_t parameters = 0;      // trained numbers
  int64_t peak_bytes = 0;      // of the training graph: NetworkLearner::PeakBytes adds evaluation
  int64_t flops_per_step = 0;  // of matrix products and convolutions, a multiply-add counting 2
  int64_t flops_per_row = 0;   // of a prediction
};
NetworkCost EstimateCost(const NetworkSpec& spec, const BatchLayout& layout);

// A number that differs for definitions that do not train alike. Threads and backend do not count.
uint64_t Fingerprint(const NetworkSpec& spec, const BatchLayout& layout);

}  // namespace beamline::engine
