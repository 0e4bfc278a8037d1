// k-means (Lloyd 1957) from k-means++ (Arthur, Vassilvitskii 2007), pass by pass: what the learner
// "k_means" and radial basis functions are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/learners/linear_algebra.h"
#include "engine/learners/row_reader.h"

namespace beamline::engine {

// Labels and squared distances of the nearest centre; ties go to the first. centres: [clusters,
// features]; either result may be null. Distances are sums of squared differences in double, in the
// order of the features.
void FindNearest(const float* rows, int64_t count, const Matrix& centres, int32_t* labels,
                 double* distances, ThreadPool* pool);
// Squared distances from all centres: [count, clusters].
void FindDistances(const float* rows, int64_t count, const Matrix& centres, double* distances,
                   ThreadPool* pool);

// All rows of a source, as passes over them want them: blocks of kLanes rows, each [features,
// kLanes]. Immutable.
class ClusterRows {
 public:
  ClusterRows(const BatchSource& source, ThreadPool* pool);

  int64_t rows() const { return static_cast<int64_t>(weights_.size()); }
  int64_t features() const { return features_; }
  int64_t blocks() const;
  const float* Block(int64_t block) const;
  float At(int64_t row, int64_t feature) const;
  const std::vector<double>& weights() const { return weights_; }

 private:
  int64_t features_;
  std::vector<float> values_;
  std::vector<double> weights_;
};

// Draws `clusters` rows: the first with probability proportional to weight, each other one to
// weight times squared distance from those before it. Where all rows are at centres already, the
// rest are copies of rows that are drawn by weight. Depends on the seed and `start` alone.
Matrix DrawCentres(const ClusterRows& rows, int64_t clusters, uint64_t seed, uint64_t start,
                   ThreadPool* pool);

// One pass of Lloyd's rule.
struct LloydPass {
  Matrix centres;      // each the weighted mean of its rows
  double inertia = 0;  // weighted sum of squared distances from the centres before the pass
  double weight = 0;   // of all rows
  double shift = 0;    // sum of squared moves of the centres
};
// A centre without rows (or of weight 0) moves to the row that is farthest from its centre, the
// next such centre to the next farthest.
LloydPass DoLloydPass(const ClusterRows& rows, const Matrix& centres, ThreadPool* pool);

// Of the rows, of what drawing centres needs of each, and of a pass. Unit: bytes.
int64_t LloydBytes(int64_t rows, int64_t clusters, int64_t features);

// Mean over features of their weighted variance: the scale of the tolerance.
double MeanVariance(const ClusterRows& rows);

}  // namespace beamline::engine
