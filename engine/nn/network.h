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
  Value features;  // [batch, features]
  Value codes;     // [batch, code columns]; kNextToken: [batch, steps], one less; kTranslate: of
                   // the source
  Value target_codes;   // [batch, target codes]; kTranslate, once a layer takes "target"
  Value labels;         // [batch], codes: losses that TakesLabels; of each step: [batch * steps]
  Value targets;        // as the outputs: all other losses; none where features are the target
  Value weights;        // as labels; of each step: always there
  Value class_weights;  // [classes]
  Value lengths;        // [batch], codes: steps of each row, from 1 to `steps`
  int64_t steps = 0;    // of the sequences that the lengths are about; 0: no layer reads them
  // Numbers of layers and loss by number input: rates, penalties, gamma.
  std::vector<std::pair<Value, double>> rates;
  UpdateInputs update;
  // Outputs.
  Value loss;           // []: what training minimises: main loss and what layers add
  Value main_loss;      // []: of the outputs alone
  Value weight_sum;     // []
  Value output;         // the last layer: OutputShape()
  Value probabilities;  // the same shape; kPrediction
  Value row_losses;     // [batch]: main loss of each row; kPrediction with kReconstruct
};

// Parameters are called "<layer>.weight", ".bias", ".gamma", ".beta", ".table"; of recurrent layers
// also ".recurrent_weight", ".recurrent_bias", ".interface_weight", ".interface_bias", with
// ".reverse" behind them where read backwards; running statistics "<layer>.running_mean" and
// ".running_variance".
//
// Throws Error, naming the layer and what to change, if the network cannot be wired, does not fit
// the layout, or a number of the spec makes no sense.
Network BuildNetwork(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch,
                     NetworkMode mode);

// The outputs that loss and layout need: classes, 1, targets, or 0 for any number (losses that
// compare rows). Throws Error if they do not fit each other.
int64_t OutputsNeeded(const LossSpec& loss, const BatchLayout& layout);
// The same of a network: as many as features where they are the target.
int64_t OutputsNeeded(const NetworkSpec& spec, const BatchLayout& layout);

// The codes that the network tells apart: the fewest that an embedding has, kTranslate: one of
// "target"; 0 without one.
int64_t Vocabulary(const NetworkSpec& spec);
// Whether "target" is among what the layer takes.
bool TakesTarget(const LayerSpec& layer);

// Of the network's output: [batch, OutputsNeeded()], for kEachStep [batch, target_steps,
// OutputsNeeded()], for kNextToken [batch, code columns - 1, vocabulary], for kMasked [batch, code
// columns, vocabulary], for kTranslate [batch, target codes, vocabulary]. Throws Error if spec and
// layout do not fit each other.
Shape OutputShape(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch);

// What one training of the network costs, known without running it.
struct NetworkCost {
  int64_t parameters = 0;      // trained numbers
  int64_t peak_bytes = 0;      // of the training graph, scratch memory and averages of weights
                               // included: NetworkLearner::PeakBytes adds evaluation
  int64_t flops_per_step = 0;  // of matrix products and convolutions, a multiply-add counting 2
  int64_t flops_per_row = 0;   // of a prediction
};
NetworkCost EstimateCost(const NetworkSpec& spec, const BatchLayout& layout);

// A number that differs for definitions that do not train alike. Threads and backend do not count.
uint64_t Fingerprint(const NetworkSpec& spec, const BatchLayout& layout);

}  // namespace beamline::engine
