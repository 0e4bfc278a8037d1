// The learner "linear": ridge and logistic regression.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

struct LinearSpec {
  // Numbers: the least sum of w_i |y_i - x_i W - b|^2 + penalty |W|^2, in one step. A feature that
  // depends linearly on those before it gets the weight 0 (within the precision of doubles).
  // Classes: the least sum of w_i log loss of softmax(x W + b) + penalty / 2 |W|^2, by L-BFGS; a
  // step is an iteration. Doubles throughout; the model is rounded to floats.
  double penalty = 0;
  int64_t max_iterations = 1000;
  // Of the gradient of the mean loss.
  double tolerance = 1e-6;
  uint64_t seed = 0;  // Nothing is drawn.
  int threads = 1;
};

// Weights: "weights" [features, outputs], "bias" [outputs]. Throws Error if the data has no
// features, or codes.
std::unique_ptr<Learner> MakeLinear(const LinearSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
