#include "engine/learners/ridge.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// What is left of a feature's square once those before it are taken out, relative to it: below, it
// is rounding.
constexpr double kDependent = 1e-11;

}  // namespace

RidgeFit FitRidge(Moments m, double penalty, ThreadPool* pool) {
  if (!(m.weight > 0)) Fail("the weights of the training rows add up to nothing or less");
  const int64_t features = m.gram.rows;
  const int64_t outputs = m.cross.columns;
  RidgeFit fit;
  for (int64_t i = 0; i < features; ++i) {
    const double mean = m.sums[static_cast<size_t>(i)] / m.weight;
    for (int64_t j = 0; j <= i; ++j) m.gram.At(i, j) -= mean * m.sums[static_cast<size_t>(j)];
    for (int64_t k = 0; k < outputs; ++k) {
      m.cross.At(i, k) -= mean * m.totals[static_cast<size_t>(k)];
    }
    // A feature that does not vary, but for rounding, has no say.
    const double uncentred = m.gram.At(i, i) + mean * m.sums[static_cast<size_t>(i)];
    if (std::abs(m.gram.At(i, i)) <= 1e-13 * std::abs(uncentred)) {
      for (int64_t j = 0; j <= i; ++j) m.gram.At(i, j) = 0;
      for (int64_t j = i; j < features; ++j) m.gram.At(j, i) = 0;
      for (int64_t k = 0; k < outputs; ++k) m.cross.At(i, k) = 0;
    }
  }
  for (int64_t i = 0; i < features; ++i) m.gram.At(i, i) += penalty;
  const Matrix right = m.cross;
  SolveSymmetric(&m.gram, &m.cross, pool, kDependent);
  fit.coefficients = std::move(m.cross);
  double explained = 0;
  for (int64_t k = 0; k < outputs; ++k) {
    double intercept = m.totals[static_cast<size_t>(k)] / m.weight;
    m.squares -= intercept * m.totals[static_cast<size_t>(k)];
    for (int64_t i = 0; i < features; ++i) {
      const double b = fit.coefficients.At(i, k);
      intercept -=
          b * (m.sums[static_cast<size_t>(i)] / m.weight + m.origin[static_cast<size_t>(i)]);
      // |y|^2 - 2 B r + B G B with (G + penalty) B = r.
      explained += b * (right.At(i, k) + penalty * b);
    }
    fit.intercepts.push_back(intercept + m.output_origin[static_cast<size_t>(k)]);
  }
  fit.loss = std::max(0.0, m.squares - explained) / (m.weight * static_cast<double>(outputs));
  return fit;
}

void Split(const std::vector<double>& values, Tensor* high, Tensor* low) {
  const std::span<float> first = high->values<float>();
  const std::span<float> second = low->values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    first[i] = static_cast<float>(values[i]);
    second[i] = static_cast<float>(values[i] - static_cast<double>(first[i]));
  }
}

std::vector<double> Join(const Tensor& high, const Tensor& low) {
  const std::span<const float> first = high.values<float>();
  const std::span<const float> second = low.values<float>();
  std::vector<double> values(first.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<double>(first[i]) + static_cast<double>(second[i]);
  }
  return values;
}

}  // namespace beamline::engine
