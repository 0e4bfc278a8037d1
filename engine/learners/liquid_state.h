// The learner "liquid_state": a liquid state machine (Maass, Natschlaeger, Markram 2002).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// Leaky integrate-and-fire cells, which are not trained. Each step u of a row is presented for
// `presentation` steps of time, in each of which, from v = r = s = 0,
//   v <- v exp(-1 / membrane_steps) + W_in u + W s,  s <- 1 where v >= 1, which is reset to 0, else
//   0 r <- r exp(-1 / filter_steps) + (1 - exp(-1 / filter_steps)) s
// and ridge regression on r at the end of the row, or on its mean over the ends of all steps, in
// one step. W_in is even in [-input_scale, input_scale]. Each cell hears round(density cells)
// others; what it hears of one is even in [0, recurrent_scale] / sqrt(how many it hears), negative
// if that one is among the `inhibitory` share of cells, which come first. See readout.h for
// classes, losses and weights of rows.
struct LiquidStateSpec {
  int64_t cells = 0;
  double density = 0.1;
  double inhibitory = 0.2;
  double input_scale = 1;
  double recurrent_scale = 0.5;
  double membrane_steps = 20;
  double filter_steps = 20;
  int64_t presentation = 10;
  double penalty = 1e-3;
  bool mean_state = false;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "input" [channels, cells]; "recurrent" [cells, fan-in], and "sources" (int64), from
// which cell each comes; and those of readout.h.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeLiquidState(const LiquidStateSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
