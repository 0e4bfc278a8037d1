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
// features]; either result may be null. Distances are sums of squared differences in double.
void FindNearest(const float* rows, int64_t count, const Matrix& centres, int32_t* labels,
                 double* distances, ThreadPool* pool);
// Squared distances from all centres: [count, clusters].
void FindDistances(const float* rows, int64_t count, const Matrix& centres, double* distances,
                   ThreadPool* pool);

// Draws `clusters` rows: the first with probability proportional to weight, each other one to
// weight times squared distance from those before it. Where all rows are at centres already, the
// rest are copies of rows that are drawn by weight. Depends on the seed and `start` alone.
Matrix DrawCentres(const BatchSource& source, int64_t clusters, uint64_t seed, uint64_t start,
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
LloydPass DoLloydPass(const BatchSource& source, const Matrix& centres, ThreadPool* pool);

// Mean over features of their weighted variance: the scale of the tolerance.
double MeanVariance(const BatchSource& source, ThreadPool* pool);

}  // namespace beamline::engine
