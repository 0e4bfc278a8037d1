// The learner "naive_bayes": Gaussian naive Bayes.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

struct NaiveBayesSpec {
  // This part of the largest variance of a feature over all rows is added to all variances.
  double smoothing = 1e-9;
  uint64_t seed = 0;  // Nothing is drawn.
  int threads = 1;
};

// Classes by Bayes' rule from weighted means and variances of each feature in each class, in
// double. Weights: "means" and "variances" [classes, features], "priors" [classes], float32 each,
// and of each what a float does not hold, "means.rest" and so on: the sum is exact to 48 bits.
// Throws Error if the data has no classes; Step throws if a class has negative weight or variance.
std::unique_ptr<Learner> MakeNaiveBayes(const NaiveBayesSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
