// Eigenvalues and eigenvectors of symmetric matrices (linear_algebra.h).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/inverse_iteration.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {
namespace {

using cpu::Rotation;

// If there are so many times as many as are asked for, they are found one by one.
constexpr int64_t kFewVectors = 4;
// Rows of a triangle are multiplied in so many parts at most, of this many elements at least.
constexpr int64_t kMostParts = 8;
constexpr int64_t kLeastPart = int64_t{1} << 15;

// Of a, the upper triangle is read. a = Q T Q^T, Q = H_0 H_1 ..., H_k = 1 - scale_k u_k u_k^T:
// `diagonal` and `off` (off[i] between i and i + 1) of T, and the reflections.
class Tridiagonal {
 public:
  Tridiagonal(Matrix a, ThreadPool* pool)
      : diagonal(static_cast<size_t>(a.rows)),
        off(static_cast<size_t>(a.rows)),
        n_(a.rows),
        pool_(*pool),
        a_(std::move(a)),
        reflectors_(n_, n_),
        scales_(static_cast<size_t>(n_)),
        u_(static_cast<size_t>(n_)),
        p_(static_cast<size_t>(n_)) {
    for (int64_t k = 0; k + 2 < n_; ++k) Reflect(k);
    for (int64_t k = std::max<int64_t>(0, n_ - 2); k < n_; ++k) {
      UpdateRow(k);
      diagonal[static_cast<size_t>(k)] = a_.At(k, k);
      if (k + 1 < n_) off[static_cast<size_t>(k)] = a_.At(k, k + 1);
    }
  }

  // An eigenvector of T becomes one of a.
  void Lift(double* z) const {
    for (int64_t k = n_ - 2; k-- > 0;) {
      const double scale = scales_[static_cast<size_t>(k)];
      if (scale == 0) continue;
      const double* u = reflectors_.Row(k) + k + 1;
      const int64_t size = n_ - k - 1;
      const double along = scale * kernels_.UpdateAndDot({}, u, size, z + k + 1);
      for (int64_t i = 0; i < size; ++i) z[k + 1 + i] -= along * u[i];
    }
  }

  std::vector<double> diagonal, off;

 private:
  // What the step before has left to do on a row, from column `first` on.
  cpu::RankTwo UpdateOf(int64_t row, int64_t first) const {
    if (!pending_) return {};
    const auto i = static_cast<size_t>(row);
    return {-u_[i], p_.data() + first, -p_[i], u_.data() + first};
  }

  // From the diagonal on.
  void UpdateRow(int64_t i) {
    double* row = a_.Row(i) + i;
    kernels_.UpdateAndDot(UpdateOf(i, i), row, n_ - i, row);
  }

  // a v from row and column `first` on, a up to date: each element above the diagonal is read once.
  // Parts that are as large as each other add up columns of their own, whatever the threads.
  std::vector<double> Multiply(int64_t first, const double* v) {
    const int64_t size = n_ - first;
    const int64_t parts = std::clamp<int64_t>(size * size / 2 / kLeastPart, 1, kMostParts);
    std::vector<std::vector<double>> sums(static_cast<size_t>(parts));
    const auto begin_of = [&](int64_t part) {
      const double left = 1 - static_cast<double>(part) / static_cast<double>(parts);
      return first + size - std::llround(static_cast<double>(size) * std::sqrt(left));
    };
    pool_.ParallelFor(parts, [&](int64_t part) {
      std::vector<double>& own = sums[static_cast<size_t>(part)];
      own.resize(static_cast<size_t>(n_));
      for (int64_t i = begin_of(part); i < begin_of(part + 1); ++i) {
        double* row = a_.Row(i) + i;
        kernels_.UpdateAndDot(UpdateOf(i, i), row, 1, row);
        own[static_cast<size_t>(i)] +=
            row[0] * v[i] + kernels_.UpdateAndMultiply(UpdateOf(i, i + 1), v + i + 1, v[i],
                                                       n_ - i - 1, row + 1, own.data() + i + 1);
      }
    });
    for (size_t part = 1; part < sums.size(); ++part) {
      for (int64_t i = first; i < n_; ++i) {
        sums[0][static_cast<size_t>(i)] += sums[part][static_cast<size_t>(i)];
      }
    }
    return std::move(sums[0]);
  }

  // The update a - u p^T - p u^T of a step and the products of the next one are one pass.
  void Reflect(int64_t k) {
    const int64_t begin = k + 1;
    UpdateRow(k);
    diagonal[static_cast<size_t>(k)] = a_.At(k, k);
    double* v = reflectors_.Row(k);
    std::copy_n(a_.Row(k) + begin, n_ - begin, v + begin);
    const double norm = std::sqrt(kernels_.UpdateAndDot({}, v + begin, n_ - begin, v + begin));
    const double head = v[begin];
    const double pivot = head > 0 ? -norm : norm;
    const double rest = norm * norm - head * pivot;  // |v - pivot e|^2 / 2
    const bool reflects = rest > 0;
    off[static_cast<size_t>(k)] = reflects ? pivot : head;
    if (reflects) v[begin] -= pivot;
    const double scale = reflects ? 1 / rest : 0;
    scales_[static_cast<size_t>(k)] = scale;
    std::vector<double> p = Multiply(begin, v);
    for (int64_t i = begin; i < n_; ++i) p[static_cast<size_t>(i)] *= scale;
    pending_ = reflects;
    if (!reflects) return;
    const double half =
        0.5 * scale * kernels_.UpdateAndDot({}, v + begin, n_ - begin, p.data() + begin);
    for (int64_t i = begin; i < n_; ++i) p[static_cast<size_t>(i)] -= half * v[i];
    p_.swap(p);
    u_.assign(v, v + n_);
  }

  const cpu::LearnerKernels& kernels_ = cpu::FindLearnerKernels();
  const int64_t n_;
  ThreadPool& pool_;
  Matrix a_;
  Matrix reflectors_;  // row k: the vector of step k, zero up to k
  std::vector<double> scales_;
  std::vector<double> u_, p_;  // of the step before
  bool pending_ = false;
};

// In order; columns are independent.
void Rotate(const std::vector<Rotation>& rotations, Matrix* vectors, ThreadPool* pool) {
  const auto rotate = cpu::FindLearnerKernels().Rotate;
  pool->ParallelFor(vectors->columns / cpu::kStrip, [&](int64_t strip) {
    rotate(rotations.data(), static_cast<int64_t>(rotations.size()),
           vectors->values.data() + strip * cpu::kStrip, vectors->columns);
  });
}

// One implicit QL sweep on rows first..last of T.
void Sweep(int64_t first, int64_t last, std::vector<double>* diagonal, std::vector<double>* off,
           std::vector<Rotation>* rotations) {
  std::vector<double>& d = *diagonal;
  std::vector<double>& e = *off;
  const auto l = static_cast<size_t>(first);
  double g = (d[l + 1] - d[l]) / (2 * e[l]);
  double r = std::sqrt(g * g + 1);
  g = d[static_cast<size_t>(last)] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
  double sine = 1, cosine = 1, p = 0;
  for (int64_t i = last - 1; i >= first; --i) {
    const auto at = static_cast<size_t>(i);
    const double f = sine * e[at];
    const double b = cosine * e[at];
    r = std::sqrt(f * f + g * g);
    e[at + 1] = r;
    if (r == 0) {  // recovers from underflow
      d[at + 1] -= p;
      e[static_cast<size_t>(last)] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = d[at + 1] - p;
    r = (d[at] - g) * sine + 2 * cosine * b;
    p = sine * r;
    d[at + 1] = g + p;
    g = cosine * r - b;
    rotations->push_back({i, cosine, sine});
  }
  d[l] -= p;
  e[l] = g;
  e[static_cast<size_t>(last)] = 0;
}

// The upper triangle from the lower one, some columns at a time: they stay in the cache.
void MirrorLower(Matrix* a) {
  constexpr int64_t kColumns = 16;
  for (int64_t first = 0; first < a->rows; first += kColumns) {
    for (int64_t i = first; i < a->rows; ++i) {
      for (int64_t j = first; j <= std::min(i, first + kColumns - 1); ++j) {
        if (!std::isfinite(a->At(i, j))) Fail("the matrix has elements that are not finite");
        a->At(j, i) = a->At(i, j);
      }
    }
  }
}

// Makes `diagonal` the eigenvalues of T; rotates the rows of `vectors`, unless null, into
// eigenvectors.
void SolveTridiagonal(std::vector<double>* diagonal, std::vector<double>* off, Matrix* vectors,
                      ThreadPool* pool) {
  const auto n = static_cast<int64_t>(diagonal->size());
  std::vector<Rotation> rotations;
  for (int64_t first = 0; first < n; ++first) {
    for (int iteration = 0;; ++iteration) {
      int64_t last = first;
      while (last + 1 < n && !IsNegligible(*diagonal, *off, last)) ++last;
      if (last == first) break;
      if (iteration == 200) Fail("the eigenvalues cannot be found: scale the features");
      Sweep(first, last, diagonal, off, &rotations);
      if (vectors == nullptr) {
        rotations.clear();
      } else if (static_cast<int64_t>(rotations.size()) >= 16 * n) {
        Rotate(rotations, vectors, pool);
        rotations.clear();
      }
    }
  }
  if (vectors != nullptr) Rotate(rotations, vectors, pool);
}

}  // namespace

SymmetricEigen EigenOfSymmetric(Matrix a, int64_t count, ThreadPool* pool) {
  const int64_t n = a.rows;
  MirrorLower(&a);
  const Tridiagonal t(std::move(a), pool);
  std::vector<double> values = t.diagonal, off = t.off;
  // Few vectors are found one by one, and else all together.
  bool one_by_one = kFewVectors * count <= n;
  if (one_by_one) SolveTridiagonal(&values, &off, nullptr, pool);
  Matrix vectors, found(count, n);
  const auto solve_all = [&] {
    values = t.diagonal;
    off = t.off;
    // Rows; whole strips of columns.
    vectors = Matrix(n, (n + cpu::kStrip - 1) / cpu::kStrip * cpu::kStrip);
    for (int64_t i = 0; i < n; ++i) vectors.At(i, i) = 1;
    SolveTridiagonal(&values, &off, &vectors, pool);
  };
  if (!one_by_one) solve_all();
  std::vector<int64_t> order(static_cast<size_t>(n));
  const auto sort = [&] {
    std::iota(order.begin(), order.end(), int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
      return values[static_cast<size_t>(i)] > values[static_cast<size_t>(j)];
    });
  };
  sort();
  if (one_by_one) {
    std::vector<KnownEigenvalue> known;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t row = order[static_cast<size_t>(k)];
      known.push_back({values[static_cast<size_t>(row)], row});
    }
    one_by_one = EigenvectorsOfTridiagonal(t.diagonal, t.off, known, &found);
    if (!one_by_one) {
      solve_all();
      sort();
    }
  }
  SymmetricEigen eigen{std::vector<double>(static_cast<size_t>(n)), std::move(found)};
  for (int64_t k = 0; k < n; ++k) {
    eigen.values[static_cast<size_t>(k)] =
        values[static_cast<size_t>(order[static_cast<size_t>(k)])];
  }
  pool->ParallelFor(count, [&](int64_t k) {
    double* row = eigen.vectors.Row(k);
    if (!one_by_one) std::copy_n(vectors.Row(order[static_cast<size_t>(k)]), n, row);
    t.Lift(row);
    const double* largest = std::max_element(
        row, row + n, [](double x, double y) { return std::abs(x) < std::abs(y); });
    const double sign = *largest < 0 ? -1 : 1;
    for (int64_t j = 0; j < n; ++j) row[j] *= sign;
  });
  return eigen;
}

}  // namespace beamline::engine
