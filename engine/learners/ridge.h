// Linear least squares with a ridge: on the features as they are, or on those that radial basis
// functions, extreme learning machines and reservoirs make.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/core/thread_pool.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {

// B and b with the least sum of w_i |y_i - x_i B - b|^2 + penalty |B|^2: normal equations about
// the weighted means, by Cholesky in double. A feature that depends linearly on those before it, or
// is constant, gets the weight 0. The bits do not depend on the number of threads.
struct RidgeFit {
  Matrix coefficients;  // [features, outputs]
  std::vector<double> intercepts;
  double loss = 0;  // weighted mean of (y - x B - b)^2 over rows and outputs
};
// Takes the sums apart. Throws Error if weights are such that there is no least one.
RidgeFit FitRidge(Moments moments, double penalty, ThreadPool* pool);

// A double is kept as two floats, whose sum it is within 1e-14 of its size: weights of models are
// floats. The same number of elements each.
void Split(const std::vector<double>& values, Tensor* high, Tensor* low);
std::vector<double> Join(const Tensor& high, const Tensor& low);

}  // namespace beamline::engine
