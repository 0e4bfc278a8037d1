#include "engine/learners/libsvm/kernels.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/learner_kernels.h"

namespace beamline::engine {
namespace {

double SquareOf(const float* x, int64_t features) {
  double sum = 0;
  for (int64_t f = 0; f < features; ++f) {
    sum += static_cast<double>(x[f]) * static_cast<double>(x[f]);
  }
  return sum;
}

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

KernelRows::KernelRows(const float* rows, int64_t count, int64_t features)
    : features_(features), turned_(Turned(rows, count, features)) {
  for (int64_t i = 0; i < count; ++i) squares_.push_back(SquareOf(rows + i * features, features));
}

Matrix KernelRows::KernelsOf(const SupportVectorSpec& spec, double gamma, const float* x,
                             int64_t rows) const {
  Matrix out(rows, static_cast<int64_t>(squares_.size()));
  turned_.Add(x, nullptr, rows, out.values.data());
  switch (spec.kernel) {
    case SupportVectorKernel::kLinear:
      break;
    case SupportVectorKernel::kRadial:
      for (int64_t i = 0; i < rows; ++i) {
        const double square = SquareOf(x + i * features_, features_);
        double* row = out.Row(i);
        for (int64_t j = 0; j < out.columns; ++j) {
          row[j] = std::max(0.0, square + squares_[static_cast<size_t>(j)] - 2 * row[j]);
        }
      }
      cpu::FindLearnerKernels().Exps(-gamma, rows * out.columns, out.values.data());
      break;
    case SupportVectorKernel::kPolynomial:
      for (double& value : out.values) value = std::pow(gamma * value + spec.offset, spec.degree);
      break;
    case SupportVectorKernel::kSigmoid:
      for (double& value : out.values) value = std::tanh(gamma * value + spec.offset);
      break;
  }
  return out;
}

}  // namespace beamline::engine
