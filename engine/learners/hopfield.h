// The learner "hopfield": a Hopfield network (1982), which falls into states that it has stored.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

enum class HopfieldRule : uint8_t {
  kHebb,           // W = X^T X / N
  kStorkey,        // row by row: W += (x x^T - x h^T - h x^T) / N, h without the pair's own (1997)
  kPseudoInverse,  // W = X^T (X X^T)^-1 X, the projection on the rows (Personnaz et al. 1985)
};

// Features become signs, x = 1 above 0 and -1 otherwise, one unit each, N in all; no unit sees
// itself. A row falls: unit by unit, in an order drawn by seed and pass, x_i = sign(sum_j W_ij
// x_j), as it was where the sum is 0, until a pass changes nothing, or max_passes are done. Its
// code is the state that it has reached, and its reconstruction that state in the scale of the
// features: the mean of the training's values above 0 for 1, that of the others for -1.
//
// One step stores all rows; its loss is the mean squared error of their reconstruction. Rows weigh
// alike: weights are refused.
struct HopfieldSpec {
  HopfieldRule rule = HopfieldRule::kHebb;
  int64_t max_passes = 100;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "couplings" [features, features], symmetric with zeros on the diagonal; "levels"
// [2, features]: the values for -1 and for 1.
//
// Throws Error if the specification does not fit the data: the pseudo-inverse stores no more rows
// than there are features.
std::unique_ptr<Learner> MakeHopfield(const HopfieldSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
