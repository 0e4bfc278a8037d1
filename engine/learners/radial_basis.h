// The learner "radial_basis": radial basis functions (Broomhead, Lowe 1988).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// Centres c by k-means (300 passes at most, tolerance 1e-4, from one k-means++ draw), features
// exp(-|x - c|^2 / (2 width^2)), and ridge regression on them. Steps are the passes of k-means,
// whose loss is the mean squared distance from the centre by features, and a last one for the
// regression. See readout.h for classes, losses and weights of rows, which count for centres too.
struct RadialBasisSpec {
  int64_t centres = 0;  // 1 to the number of training rows
  // 0: twice the mean distance of a centre from the nearest other one; 1 where there is none.
  double width = 0;
  double penalty = 1e-6;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "centres" [centres, features], "width" [1], and those of readout.h.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeRadialBasis(const RadialBasisSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
