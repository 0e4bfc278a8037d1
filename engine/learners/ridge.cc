#include "engine/learners/ridge.h"

#include <algorithm>

#include "engine/core/error.h"

namespace beamline::engine {

RidgeSystem::RidgeSystem(int64_t features, int64_t outputs, ThreadPool* pool)
    : pool_(pool),
      gram_(features, features),
      cross_(features, outputs),
      sums_(static_cast<size_t>(features)),
      totals_(static_cast<size_t>(outputs)) {}

void RidgeSystem::Add(const float* x, const double* y, const double* w, int64_t rows) {
  const int64_t features = gram_.rows;
  const int64_t outputs = cross_.columns;
  if (rows == 0) return;
  if (origin_.empty()) origin_.assign(x, x + features);
  wide_.resize(static_cast<size_t>(rows * features));
  pool_->ParallelFor(rows, [&](int64_t row) {
    for (int64_t k = 0; k < features; ++k) {
      wide_[static_cast<size_t>(row * features + k)] =
          static_cast<double>(x[row * features + k]) - origin_[static_cast<size_t>(k)];
    }
  });
  AddGram(wide_.data(), w, rows, &gram_, pool_);
  AddCross(wide_.data(), y, w, rows, &cross_, pool_);
  for (int64_t row = 0; row < rows; ++row) {
    weight_ += w[row];
    for (int64_t k = 0; k < features; ++k) {
      sums_[static_cast<size_t>(k)] += w[row] * wide_[static_cast<size_t>(row * features + k)];
    }
    for (int64_t k = 0; k < outputs; ++k) {
      totals_[static_cast<size_t>(k)] += w[row] * y[row * outputs + k];
      squares_ += w[row] * y[row * outputs + k] * y[row * outputs + k];
    }
  }
}

RidgeSystem::Solution RidgeSystem::Solve(double penalty) {
  if (!(weight_ > 0)) Fail("all training rows weigh 0: there is nothing to learn from");
  const int64_t features = gram_.rows;
  const int64_t outputs = cross_.columns;
  Solution solution;
  for (int64_t i = 0; i < features; ++i) {
    const double mean = sums_[static_cast<size_t>(i)] / weight_;
    for (int64_t j = 0; j <= i; ++j) gram_.At(i, j) -= mean * sums_[static_cast<size_t>(j)];
    for (int64_t k = 0; k < outputs; ++k) {
      cross_.At(i, k) -= mean * totals_[static_cast<size_t>(k)];
    }
    // A feature that does not vary, but for rounding, has no say.
    const double uncentred = gram_.At(i, i) + mean * sums_[static_cast<size_t>(i)];
    if (gram_.At(i, i) <= 1e-13 * uncentred) {
      for (int64_t j = 0; j <= i; ++j) gram_.At(i, j) = 0;
      for (int64_t j = i; j < features; ++j) gram_.At(j, i) = 0;
      for (int64_t k = 0; k < outputs; ++k) cross_.At(i, k) = 0;
    }
    gram_.At(i, i) += penalty;
  }
  const Matrix right = cross_;
  SolveSymmetric(&gram_, &cross_, pool_);
  solution.coefficients = std::move(cross_);
  double explained = 0;
  for (int64_t k = 0; k < outputs; ++k) {
    double intercept = totals_[static_cast<size_t>(k)] / weight_;
    squares_ -= intercept * totals_[static_cast<size_t>(k)];
    for (int64_t i = 0; i < features; ++i) {
      const double b = solution.coefficients.At(i, k);
      intercept -= b * (sums_[static_cast<size_t>(i)] / weight_ + origin_[static_cast<size_t>(i)]);
      // |y|^2 - 2 B r + B G B with (G + penalty) B = r.
      explained += b * (right.At(i, k) + penalty * b);
    }
    solution.intercepts.push_back(intercept);
  }
  solution.loss = std::max(0.0, squares_ - explained) / (weight_ * static_cast<double>(outputs));
  return solution;
}

int64_t RidgeSystem::BytesOf(int64_t features, int64_t outputs) {
  return 8 * (features * features + 2 * features * outputs + 2 * features + outputs);
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

void Readout::Apply(const float* x, int64_t rows, float* y, ThreadPool* pool) const {
  constexpr int64_t kTile = 16;
  const int64_t features = coefficients.rows;
  const int64_t outputs = coefficients.columns;
  pool->ParallelFor((rows + kTile - 1) / kTile, [&](int64_t tile) {
    std::vector<double> sums;
    for (int64_t row = tile * kTile; row < std::min(rows, (tile + 1) * kTile); ++row) {
      sums = intercepts;
      for (int64_t i = 0; i < features; ++i) {
        const auto value = static_cast<double>(x[row * features + i]);
        const double* b = coefficients.Row(i);
        for (int64_t k = 0; k < outputs; ++k) sums[static_cast<size_t>(k)] += value * b[k];
      }
      for (int64_t k = 0; k < outputs; ++k) {
        y[row * outputs + k] = static_cast<float>(sums[static_cast<size_t>(k)]);
      }
    }
  });
}

}  // namespace beamline::engine
