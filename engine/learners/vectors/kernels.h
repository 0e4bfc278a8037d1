// How alike rows are, many at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/learners/linear_algebra.h"
#include "engine/learners/vectors/support_vectors.h"

namespace beamline::engine {

// |x|^2
double SquareOf(const float* x, int64_t features);

// From products x y[j] to kernels, in place; `squares`: |y[j]|^2. Distances are by way of products.
void KernelsOfProducts(const SupportVectorSpec& spec, double gamma, double square,
                       const double* squares, int64_t count, double* products);

// Rows that others are compared with: [count, features].
class KernelRows {
 public:
  KernelRows(const float* rows, int64_t count, int64_t features);

  // k(x_i, y_j) of y, these rows: [rows, count], by the calling thread, in double. x: [rows,
  // features]. The same bits however rows are cut and, but for sigmoid kernels, for every
  // instruction set: their tanh is the C library's.
  Matrix KernelsOf(const SupportVectorSpec& spec, double gamma, const float* x, int64_t rows) const;

 private:
  int64_t features_;
  std::vector<double> squares_;  // y y
  Multiplier turned_;
};

}  // namespace beamline::engine
