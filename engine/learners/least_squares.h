// Weighted linear least squares with a ridge.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/learners/row_learner.h"

namespace beamline::engine {

struct LinearFit {
  std::vector<double> weights;  // [features, targets]
  std::vector<double> bias;     // [targets]
};

// W and b with the least sum of w_i |y_i - x_i W - b|^2 + penalty |W|^2, by Cholesky of the normal
// equations of centred rows. A feature that depends linearly on those before it, or is constant,
// gets the weight 0. Throws Error if weights are such that there is no least one. The same bits for
// any number of threads.
LinearFit FitLeastSquares(const RowMatrix& rows, double penalty, ThreadPool* pool);

}  // namespace beamline::engine
