// Eigenvalues and eigenvectors of symmetric matrices (linear_algebra.h).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {
namespace {

using cpu::Rotation;

// Loops over many short rows are cut into pieces worth a thread's while.
template <typename Body>
void ForRows(int64_t rows, int64_t width, ThreadPool* pool, const Body& body) {
  const int64_t piece = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, width));
  pool->ParallelFor((rows + piece - 1) / piece, [&](int64_t tile) {
    for (int64_t row = tile * piece; row < std::min(rows, (tile + 1) * piece); ++row) body(row);
  });
}

// a = Q T Q^T, Q = H_0 H_1 ..., H_k = 1 - scale_k u_k u_k^T: `diagonal` and `off` (off[i] between i
// and i + 1) of T, and the reflections.
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
      UpdateRow(k, k, nullptr);
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
  // What the step before has left to do on a row from column `first` on; its product with u.
  double UpdateRow(int64_t i, int64_t first, const double* u) {
    cpu::RankTwo update;
    if (pending_) {
      update = {-u_[static_cast<size_t>(i)], p_.data() + first, -p_[static_cast<size_t>(i)],
                u_.data() + first};
    }
    return kernels_.UpdateAndDot(update, u != nullptr ? u + first : a_.Row(i) + first, n_ - first,
                                 a_.Row(i) + first);
  }

  // The update a - u p^T - p u^T of a step and the products of the next one are one pass.
  void Reflect(int64_t k) {
    const int64_t begin = k + 1;
    const auto at = static_cast<size_t>(begin);
    UpdateRow(k, k, nullptr);
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
    std::vector<double> p(static_cast<size_t>(n_));
    ForRows(n_ - begin, n_ - begin, &pool_, [&](int64_t i) {
      p[at + static_cast<size_t>(i)] = scale * UpdateRow(begin + i, begin, v);
    });
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

}  // namespace

SymmetricEigen EigenOfSymmetric(Matrix a, int64_t count, ThreadPool* pool) {
  const int64_t n = a.rows;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      if (!std::isfinite(a.At(i, j))) Fail("the matrix has elements that are not finite");
      a.At(j, i) = a.At(i, j);
    }
  }
  Tridiagonal t(std::move(a), pool);
  // Eigenvectors of T, rows; whole strips of columns.
  Matrix vectors(n, (n + cpu::kStrip - 1) / cpu::kStrip * cpu::kStrip);
  for (int64_t i = 0; i < n; ++i) vectors.At(i, i) = 1;
  std::vector<Rotation> rotations;
  for (int64_t first = 0; first < n; ++first) {
    for (int iteration = 0;; ++iteration) {
      int64_t last = first;
      for (; last + 1 < n; ++last) {
        const auto at = static_cast<size_t>(last);
        const double size = std::abs(t.diagonal[at]) + std::abs(t.diagonal[at + 1]);
        if (std::abs(t.off[at]) <= std::numeric_limits<double>::epsilon() * size) break;
      }
      if (last == first) break;
      if (iteration == 200) Fail("the eigenvalues cannot be found: scale the features");
      Sweep(first, last, &t.diagonal, &t.off, &rotations);
      if (static_cast<int64_t>(rotations.size()) >= 16 * n) {
        Rotate(rotations, &vectors, pool);
        rotations.clear();
      }
    }
  }
  Rotate(rotations, &vectors, pool);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    return t.diagonal[static_cast<size_t>(i)] > t.diagonal[static_cast<size_t>(j)];
  });
  SymmetricEigen eigen{std::vector<double>(static_cast<size_t>(n)), Matrix(count, n)};
  for (int64_t k = 0; k < n; ++k) {
    eigen.values[static_cast<size_t>(k)] =
        t.diagonal[static_cast<size_t>(order[static_cast<size_t>(k)])];
  }
  pool->ParallelFor(count, [&](int64_t k) {
    double* row = eigen.vectors.Row(k);
    std::copy_n(vectors.Row(order[static_cast<size_t>(k)]), n, row);
    t.Lift(row);
    const double* largest = std::max_element(
        row, row + n, [](double x, double y) { return std::abs(x) < std::abs(y); });
    const double sign = *largest < 0 ? -1 : 1;
    for (int64_t j = 0; j < n; ++j) row[j] *= sign;
  });
  return eigen;
}

}  // namespace beamline::engine
