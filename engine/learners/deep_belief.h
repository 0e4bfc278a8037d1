// The learner "deep_belief": a deep belief network (Hinton, Osindero, Teh 2006).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/learners/learner.h"
#include "engine/learners/restricted_boltzmann.h"

namespace beamline::engine {

// Restricted Boltzmann machines are trained one on the hidden probabilities of the other by
// contrastive divergence; then they become the sigmoid layers of a network, which learns the target
// by gradients (Adam): classes by cross-entropy, numbers by mean squared error. What is said of
// rows is the network's.
//
// Steps are those of the machines, whose losses are errors of reconstruction, then those of the
// network. Epochs are the network's alone. Weights of rows weigh their part; while machines are
// trained they must be at least 0.
struct DeepBeliefSpec {
  std::vector<int64_t> hidden;                   // units of each layer
  VisibleUnits visible = VisibleUnits::kBinary;  // of the first machine
  int64_t pretraining_epochs = 10;               // of each machine; 0: random weights instead
  double pretraining_rate = 0.1;                 // a Gaussian machine takes a hundredth of it
  int64_t epochs = 10;
  double learning_rate = 0.001;
  int64_t batch_size = 32;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: those of a network of dense layers "hidden0", "hidden1", ... and "output".
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeDeepBelief(const DeepBeliefSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
