#include "engine/learners/vectors/kernels.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine {
namespace {

Matrix Turned(const float* rows, int64_t count, int64_t features) {
  Matrix turned(features, count);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t f = 0; f < features; ++f) {
      turned.At(f, i) = static_cast<double>(rows[i * features + f]);
    }
  }
  return turned;
}

}  // namespace

double SquareOf(const float* x, int64_t features) {
  double sum = 0;
  for (int64_t f = 0; f < features; ++f) {
    sum += static_cast<double>(x[f]) * static_cast<double>(x[f]);
  }
  return sum;
}

void KernelsOfProducts(const SupportVectorSpec& spec, double gamma, double square,
                       const double* squares, int64_t count, double* products) {
  switch (spec.kernel) {
    case SupportVectorKernel::kLinear:
      break;
    case SupportVectorKernel::kRadial:
      for (int64_t j = 0; j < count; ++j) {
        products[j] = std::max(0.0, square + squares[j] - 2 * products[j]);
      }
      cpu::FindLearnerKernels().Exps(-gamma, count, products);
      break;
    case SupportVectorKernel::kPolynomial:
      for (int64_t j = 0; j < count; ++j) {
        const double base = gamma * products[j] + spec.offset;
        products[j] = 1;
        for (int k = 0; k < spec.degree; ++k) products[j] *= base;
      }
      break;
    case SupportVectorKernel::kSigmoid:
      for (int64_t j = 0; j < count; ++j) {
        products[j] = std::tanh(gamma * products[j] + spec.offset);
      }
      break;
  }
}

KernelRows::KernelRows(const float* rows, int64_t count, int64_t features)
    : features_(features), turned_(Turned(rows, count, features)) {
  for (int64_t i = 0; i < count; ++i) squares_.push_back(SquareOf(rows + i * features, features));
}

Matrix KernelRows::KernelsOf(const SupportVectorSpec& spec, double gamma, const float* x,
                             int64_t rows) const {
  Matrix out(rows, static_cast<int64_t>(squares_.size()));
  turned_.Add(x, nullptr, rows, out.values.data());
  for (int64_t i = 0; i < rows; ++i) {
    KernelsOfProducts(spec, gamma, SquareOf(x + i * features_, features_), squares_.data(),
                      out.columns, out.Row(i));
  }
  return out;
}

}  // namespace beamline::engine
