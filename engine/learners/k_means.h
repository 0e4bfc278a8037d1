// The learner "k_means": k-means (Lloyd 1957) from k-means++ (Arthur, Vassilvitskii 2007).
#pragma once

#include <cstdint>
#include <memory>

#include "engine/learners/learner.h"

namespace beamline::engine {

// A row is reconstructed as the centre of its cluster; its code is its distances from all centres.
// One step is one pass over the rows; the loss is the weighted mean of the squared differences
// between features and centre, over rows and features. Weights of rows count; they must be at least
// 0.
struct KMeansSpec {
  int64_t clusters = 0;          // 1 to the number of training rows
  int64_t max_iterations = 300;  // passes of one start, at most
  // Starts from so many k-means++ draws; the one with the least sum of squares counts.
  int64_t starts = 1;
  // A start ends when the sum of squared moves of the centres is at most this times the mean
  // variance of the features.
  double tolerance = 1e-4;
  uint64_t seed = 0;
  int threads = 1;
};

// Weights: "centres", [clusters, features]. Centres that are set before the first step are what the
// first start begins from.
//
// Throws Error if the specification does not fit the data.
std::unique_ptr<Learner> MakeKMeans(const KMeansSpec& spec, const LearnerData& data);

}  // namespace beamline::engine
