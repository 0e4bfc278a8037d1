// The learner "boltzmann": a Boltzmann machine (Ackley, Hinton, Sejnowski 1985) by persistent
// contrastive divergence.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// Units s in {0, 1}, one for each feature and `hidden` more, each connected with all others:
// p(s_i = 1 | others) = sigmoid(sum_j W_ij s_j + b_i). A step raises the log likelihood of a batch
// along <s_i s_j> with the visible units held at rows, which are drawn from their features as
// probabilities, less <s_i s_j> of free chains, which go on from step to step. Both are Gibbs
// sampled, `sweeps` over all units that are free, in their order; hidden units of rows begin at
// chance. The order of the rows is drawn anew in each epoch. Weights of rows weigh their part; they
// must be at least 0.
//
// A row is reconstructed by the mean field of its hidden units given its features (10 updates of
// each, from 1/2, in their order), which is its code, and then of each visible unit given that and
// the other features. The loss is the mean squared error of this.
struct BoltzmannSpec {
  int64_t hidden = 0;
  double learning_rate = 0.01;
  int64_t epochs = 10;
  int64_t batch_size = 32;  // and chains
  int64_t sweeps = 1;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "couplings" [units, units], symmetric with zeros on the diagonal, visible units first,
// which begin normal with deviation 0.01; "biases" [units], which begin as 0.
//
// Throws Error if the specification does not fit the data; so does a step whose rows have features
// outside [0, 1].
std::unique_ptr<Learner> MakeBoltzmann(const BoltzmannSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
