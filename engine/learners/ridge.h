// Ridge regression on features that a learner makes: the read-out of radial basis functions,
// extreme learning machines and reservoirs.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/linear_algebra.h"
#include "engine/core/tensor.h"
#include "engine/core/thread_pool.h"

namespace beamline::engine {

// B and b with the least sum of w_i |y_i - x_i B - b|^2 + penalty |B|^2: normal equations about
// the weighted means, by Cholesky in double. Of features that depend on others the later ones get
// 0. Not thread-safe; the bits do not depend on the number of threads.
class RidgeSystem {
 public:
  RidgeSystem(int64_t features, int64_t outputs, ThreadPool* pool);

  // Adds rows, in order. x: [rows, features], y: [rows, outputs], w: [rows] of at least 0.
  void Add(const float* x, const double* y, const double* w, int64_t rows);

  // Solves, once. Throws Error if all rows weigh nothing.
  struct Solution {
    Matrix coefficients;  // [features, outputs]
    std::vector<double> intercepts;
    double loss = 0;  // weighted mean of (y - x B - b)^2 over rows and outputs
  };
  Solution Solve(double penalty);

  static int64_t BytesOf(int64_t features, int64_t outputs);

 private:
  ThreadPool* pool_;
  Matrix gram_;
  Matrix cross_;
  std::vector<double> sums_;    // of w x
  std::vector<double> totals_;  // of w y
  double squares_ = 0;          // of w |y|^2
  double weight_ = 0;
  // As doubles, less the first row: what is large and the same in all rows would cost digits.
  std::vector<double> origin_;
  std::vector<double> wide_;
};

// A double is kept as two floats, whose sum it is within 1e-14 of its size: weights of models are
// floats. The same number of elements each.
void Split(const std::vector<double>& values, Tensor* high, Tensor* low);
std::vector<double> Join(const Tensor& high, const Tensor& low);

// y = x B + b for rows of floats, in double. B: [features, outputs].
struct Readout {
  Matrix coefficients;
  std::vector<double> intercepts;

  // y: [rows, outputs].
  void Apply(const float* x, int64_t rows, float* y, ThreadPool* pool) const;
};

}  // namespace beamline::engine
