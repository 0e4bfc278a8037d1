// The learner "restricted_boltzmann": a restricted Boltzmann machine by contrastive divergence
// (Hinton 2002) or its persistent form (Tieleman 2008).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

enum class VisibleUnits : uint8_t {
  kBinary,    // features are probabilities in [0, 1]: p(v = 1 | h) = sigmoid(W h + b)
  kGaussian,  // features are numbers of variance 1: v | h ~ N(W h + b, 1)
};

// p(h = 1 | v) = sigmoid(W^T v + c). A row is reconstructed as the mean of v given p(h | v), which
// is its code.
//
// A step raises the log likelihood of a batch along <v h> - <v' h'>: v' follows from the rows, or
// from persistent chains, one for each row of a full batch, by `gibbs_steps` of Gibbs sampling, h
// and h' are probabilities. The order of the rows is drawn anew in each epoch. The loss is the mean
// squared error of the reconstruction. Weights of rows weigh their part; they must be at least 0.
struct RestrictedBoltzmannSpec {
  int64_t hidden = 0;
  VisibleUnits visible = VisibleUnits::kBinary;
  int64_t gibbs_steps = 1;
  bool persistent = false;
  double learning_rate = 0.1;
  int64_t epochs = 10;
  int64_t batch_size = 32;
  double momentum = 0;
  double weight_decay = 0;  // of W: subtracts learning_rate * weight_decay * W
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "weights" [features, hidden], which begin normal with deviation 0.01; "visible_bias"
// [features] and "hidden_bias" [hidden], which begin as 0.
//
// Throws Error if the specification does not fit the data; so does a step whose rows have other
// features than the units can be.
std::unique_ptr<Learner> MakeRestrictedBoltzmann(const RestrictedBoltzmannSpec& spec,
                                                 const LearnerData& data);

}  // namespace beamline::engine
