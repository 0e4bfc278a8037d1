// The learner "extreme_learning_machine" (Huang, Zhu, Siew 2006).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/graph/op.h"
#include "engine/learners/learner.h"

namespace beamline::engine {

// Features activation(x W + b), W normal with deviation scale / sqrt(features), b with deviation
// scale, both drawn by the seed; and ridge regression on them, in one step. See readout.h for
// classes, losses and weights of rows.
struct ExtremeLearningSpec {
  int64_t hidden = 0;
  Activation activation = Activation::kTanh;
  double penalty = 1e-3;
  double scale = 1;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "hidden" [features, hidden], "hidden_bias" [hidden], and those of readout.h.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeExtremeLearningMachine(const ExtremeLearningSpec& spec,
                                                    const LearnerData& data);

}  // namespace beamline::engine
