#include "engine/learners/least_squares.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

constexpr int64_t kBlockRows = 256;
// Rows of the normal equations in one tile.
constexpr int64_t kTile = 8;
// What is left of a feature's square once those before it are taken out, relative to it: below, it
// is rounding.
constexpr double kDependent = 1e-11;

// Sum of a_i b_i in four parts, which compilers turn into vectors.
double Dot(const double* a, const double* b, int64_t count) {
  double sums[4] = {};
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (int64_t k = 0; k < 4; ++k) sums[k] += a[i + k] * b[i + k];
  }
  double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// Columns: features, then targets.
class NormalEquations {
 public:
  NormalEquations(const RowMatrix& rows, ThreadPool* pool)
      : rows_(rows),
        pool_(*pool),
        features_(rows.features),
        columns_(rows.features + rows.targets),
        means_(static_cast<size_t>(columns_)),
        sums_(static_cast<size_t>(features_ * columns_)) {
    if (!(rows_.weight_sum > 0)) Fail("the weights of the training rows add up to nothing or less");
    for (int64_t i = 0; i < rows_.rows; ++i) {
      for (int64_t j = 0; j < columns_; ++j) At(&means_, 0, j) += Weight(i) * Value(i, j);
    }
    for (double& mean : means_) mean /= rows_.weight_sum;
    for (int64_t first = 0; first < rows_.rows; first += kBlockRows) {
      AddBlock(first, std::min(kBlockRows, rows_.rows - first));
    }
  }

  LinearFit Solve(double penalty) {
    std::vector<double> factor(static_cast<size_t>(features_ * features_));
    Factor(penalty, &factor);
    LinearFit fit;
    fit.weights.resize(static_cast<size_t>(features_ * rows_.targets));
    fit.bias.resize(static_cast<size_t>(rows_.targets));
    for (int64_t t = 0; t < rows_.targets; ++t) {
      const std::vector<double> w = SolveTarget(factor, t);
      double bias = At(&means_, 0, features_ + t);
      for (int64_t i = 0; i < features_; ++i) {
        fit.weights[static_cast<size_t>(i * rows_.targets + t)] = w[static_cast<size_t>(i)];
        bias -= w[static_cast<size_t>(i)] * At(&means_, 0, i);
      }
      fit.bias[static_cast<size_t>(t)] = bias;
    }
    return fit;
  }

 private:
  double& At(std::vector<double>* matrix, int64_t i, int64_t j) const {
    return (*matrix)[static_cast<size_t>(i * columns_ + j)];
  }
  double Weight(int64_t i) const {
    return static_cast<double>(rows_.weights[static_cast<size_t>(i)]);
  }
  double Value(int64_t i, int64_t j) const {
    return static_cast<double>(
        j < features_ ? rows_.x[static_cast<size_t>(i * features_ + j)]
                      : rows_.y[static_cast<size_t>(i * rows_.targets + j - features_)]);
  }

  // Adds the products of some rows: each sum takes the rows in their order.
  void AddBlock(int64_t first, int64_t count) {
    block_.resize(static_cast<size_t>(count * columns_));
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t j = 0; j < columns_; ++j) {
        At(&block_, i, j) = Value(first + i, j) - means_[static_cast<size_t>(j)];
      }
    }
    pool_.ParallelFor((features_ + kTile - 1) / kTile, [&](int64_t tile) {
      const int64_t end = std::min(features_, (tile + 1) * kTile);
      for (int64_t row = 0; row < count; ++row) {
        const double* x = block_.data() + row * columns_;
        for (int64_t i = tile * kTile; i < end; ++i) {
          const double weighted = Weight(first + row) * x[i];
          double* const sums = sums_.data() + i * columns_;
          for (int64_t j = i; j < columns_; ++j) sums[j] += weighted * x[j];
        }
      }
    });
  }

  // Lower triangle, row-major; 0 on the diagonal for a feature that is left out.
  void Factor(double penalty, std::vector<double>* factor) {
    double* const l = factor->data();
    for (int64_t j = 0; j < features_; ++j) {
      const double* row = l + j * features_;
      const double square = At(&sums_, j, j) + penalty;
      const double rest = square - Dot(row, row, j);
      if (rest < -kDependent * std::abs(square) || square < 0) {
        Fail(
            "with these negative weights the squares have no least sum: use weights of one sign, "
            "or a larger penalty");
      }
      if (rest <= kDependent * square) continue;
      const double root = std::sqrt(rest);
      l[j * features_ + j] = root;
      const int64_t below = features_ - j - 1;
      pool_.ParallelFor((below + kFactorRows - 1) / kFactorRows, [&](int64_t tile) {
        const int64_t end = std::min(features_, j + 1 + (tile + 1) * kFactorRows);
        for (int64_t i = j + 1 + tile * kFactorRows; i < end; ++i) {
          l[i * features_ + j] =
              (sums_[static_cast<size_t>(j * columns_ + i)] - Dot(l + i * features_, row, j)) /
              root;
        }
      });
    }
  }

  std::vector<double> SolveTarget(const std::vector<double>& factor, int64_t target) {
    const double* const l = factor.data();
    std::vector<double> w(static_cast<size_t>(features_));
    for (int64_t i = 0; i < features_; ++i) {
      const double pivot = l[i * features_ + i];
      const double right = At(&sums_, i, features_ + target) - Dot(l + i * features_, w.data(), i);
      w[static_cast<size_t>(i)] = pivot > 0 ? right / pivot : 0;
    }
    for (int64_t i = features_; i-- > 0;) {
      const double pivot = l[i * features_ + i];
      double& value = w[static_cast<size_t>(i)];
      value = pivot > 0 ? value / pivot : 0;
      for (int64_t k = 0; k < i; ++k) w[static_cast<size_t>(k)] -= l[i * features_ + k] * value;
    }
    return w;
  }

  // Rows of the factor in one tile: fewer are not worth a thread.
  static constexpr int64_t kFactorRows = 256;

  const RowMatrix& rows_;
  ThreadPool& pool_;
  const int64_t features_;
  const int64_t columns_;
  std::vector<double> means_;
  std::vector<double> sums_;  // [features, columns], the upper triangle
  std::vector<double> block_;
};

}  // namespace

LinearFit FitLeastSquares(const RowMatrix& rows, double penalty, ThreadPool* pool) {
  return NormalEquations(rows, pool).Solve(penalty);
}

}  // namespace beamline::engine
