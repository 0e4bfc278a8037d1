// The learner "echo_state": an echo state network (Jaeger 2001).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// A reservoir of leaky units, which is not trained: from x = 0,
//   x <- (1 - leak) x + leak tanh(W_in [u; 1] + W x)
// for each step u of a row, and ridge regression on the last state, or on the mean of all, in one
// step. W_in is even in [-input_scale, input_scale]; each unit gets round(density reservoir) others
// with weights that are even and scaled so that the largest absolute eigenvalue of W is
// spectral_radius (see core/spectral_radius.h for its precision). See readout.h for classes, losses
// and weights of rows.
struct EchoStateSpec {
  int64_t reservoir = 0;  // units
  double spectral_radius = 0.9;
  double density = 0.1;
  double input_scale = 1;
  double leak = 1;
  double penalty = 1e-6;
  bool mean_state = false;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "input" [channels + 1, reservoir], the last for the constant 1; "recurrent" [reservoir,
// fan-in], and "sources" (int64), from which unit each comes; and those of readout.h.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeEchoState(const EchoStateSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
