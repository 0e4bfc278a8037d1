// The learner "principal_components": eigenvectors of the covariance (Pearson 1901).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// A row's code are its coordinates (x - mean) . component, and it is reconstructed as mean + sum of
// coordinate times component. One step. The loss is the mean squared error of the reconstruction
// over rows and features. Weights of rows count; they must be at least 0.
struct PrincipalComponentsSpec {
  int64_t components = 0;  // 1 to the number of features
  // Coordinates are divided by their standard deviation; those that do not vary are 0.
  bool whiten = false;
  int threads = 1;
};

// Weights: "components" [components, features], rows of length 1 by descending variance, whose
// largest element is positive; "mean" [features]; "variances" [components], of the coordinates:
// divided by rows - 1, or with weights by their sum.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakePrincipalComponents(const PrincipalComponentsSpec& spec,
                                                 const LearnerData& data);

}  // namespace beamline::engine
