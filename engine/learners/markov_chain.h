// The learner "markov_chain": the next code by how often it followed those before it.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

enum class MarkovSmoothing : uint8_t {
  kAdditive,    // (count + alpha) / (total + alpha V)
  kWittenBell,  // (count + types p_lower) / (total + types); p_lower of no code at all: 1 / V
};

// Rows are codes in [0, vocabulary); a negative one is unknown: it is not predicted, and nothing is
// known beyond it. Each code but the first of a row is predicted from the `order` before it; where
// fewer are known, at the start of a row, from those: contexts of all lengths up to `order` are
// counted. Predictions are probabilities, [rows, code_columns - 1, vocabulary], as a network's with
// the objective next_token, and no outputs. One step. The loss is the mean of -log p over the
// codes of all rows, each with the weight of its row, at least 0, which counts too.
struct MarkovSpec {
  int64_t vocabulary = 0;  // V
  int64_t order = 1;
  MarkovSmoothing smoothing = MarkovSmoothing::kAdditive;
  double alpha = 1;
  int threads = 1;
};

// Weights. A context has a number: 0 is the empty one; number i + 1 is the one before whose codes
// stands, one place further back, the code contexts[i] % V, and which is without it the context
// contexts[i] / V. "contexts" (int64) ascend. "followers" (int64), context * V + code, ascend, and
// "counts" are how often each was seen.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeMarkovChain(const MarkovSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
