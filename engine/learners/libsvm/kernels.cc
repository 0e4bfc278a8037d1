#include "engine/learners/libsvm/kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/learners/row_blocks.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

// Of at most kLanes rows: [others, kLanes].
void AddProductsOfRows(const float* block, const float* y, int64_t others, int64_t features,
                       double* products) {
  std::fill_n(products, others * kLanes, 0.0);
  for (int64_t j = 0; j < others; ++j, products += kLanes) {
    const float* from = y + j * features;
    for (int64_t f = 0; f < features; ++f) {
      const auto value = static_cast<double>(from[f]);
      const float* x = block + f * kLanes;
      for (int64_t lane = 0; lane < kLanes; ++lane) {
        products[lane] += value * static_cast<double>(x[lane]);
      }
    }
  }
}

}  // namespace

Matrix KernelsOf(const SupportVectorSpec& spec, double gamma, const float* x, int64_t rows,
                 const float* y, int64_t others, int64_t features) {
  const cpu::LearnerKernels& kernels = cpu::FindLearnerKernels();
  const bool radial = spec.kernel == SupportVectorKernel::kRadial;
  Matrix out(rows, others);
  std::vector<float> block(static_cast<size_t>(features * kLanes));
  std::vector<double> values(static_cast<size_t>(others * kLanes));
  for (int64_t first = 0; first < rows; first += kLanes) {
    const int64_t count = std::min(kLanes, rows - first);
    TransposeRows(x + first * features, count, features, block.data());
    if (radial) {
      kernels.SquaredDistances(y, others, features, block.data(), values.data());
      kernels.Exps(-gamma, others * kLanes, values.data());
    } else {
      AddProductsOfRows(block.data(), y, others, features, values.data());
    }
    for (int64_t lane = 0; lane < count; ++lane) {
      double* to = out.Row(first + lane);
      for (int64_t j = 0; j < others; ++j) to[j] = values[static_cast<size_t>(j * kLanes + lane)];
    }
  }
  if (spec.kernel == SupportVectorKernel::kPolynomial) {
    for (double& value : out.values) value = std::pow(gamma * value + spec.offset, spec.degree);
  } else if (spec.kernel == SupportVectorKernel::kSigmoid) {
    for (double& value : out.values) value = std::tanh(gamma * value + spec.offset);
  }
  return out;
}

}  // namespace beamline::engine
