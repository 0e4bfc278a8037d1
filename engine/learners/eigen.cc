// Eigenvalues and eigenvectors of symmetric matrices (linear_algebra.h).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/error.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {
namespace {

double Dot(const double* a, const double* b, int64_t size) {
  double lanes[4] = {};
  int64_t k = 0;
  for (; k + 4 <= size; k += 4) {
    for (int lane = 0; lane < 4; ++lane) lanes[lane] += a[k + lane] * b[k + lane];
  }
  for (; k < size; ++k) lanes[0] += a[k] * b[k];
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

void AddScaled(double scale, const double* x, int64_t size, double* y) {
  for (int64_t k = 0; k < size; ++k) y[k] += scale * x[k];
}

// Loops over many short rows are cut into pieces worth a thread's while.
template <typename Body>
void ForRows(int64_t rows, int64_t width, ThreadPool* pool, const Body& body) {
  const int64_t piece = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, width));
  pool->ParallelFor((rows + piece - 1) / piece, [&](int64_t tile) {
    for (int64_t row = tile * piece; row < std::min(rows, (tile + 1) * piece); ++row) body(row);
  });
}

// a = Q T Q^T: `diagonal` and `off` (off[i] between i and i + 1) of T; the rows of a become the
// columns of Q, that is, a becomes Q^T.
void Tridiagonalise(Matrix* a, std::vector<double>* diagonal, std::vector<double>* off,
                    ThreadPool* pool) {
  const int64_t n = a->rows;
  std::vector<double> v(static_cast<size_t>(n)), p(static_cast<size_t>(n));
  Matrix reflectors(n, n);  // row k: the vector of step k, zero up to k
  std::vector<double> scales(static_cast<size_t>(n));
  for (int64_t k = 0; k + 2 < n; ++k) {
    const int64_t begin = k + 1;
    const int64_t size = n - begin;
    for (int64_t i = begin; i < n; ++i) v[static_cast<size_t>(i)] = a->At(i, k);
    const double norm =
        std::sqrt(Dot(&v[static_cast<size_t>(begin)], &v[static_cast<size_t>(begin)], size));
    const double head = v[static_cast<size_t>(begin)];
    const double pivot = head > 0 ? -norm : norm;
    (*off)[static_cast<size_t>(k)] = pivot;
    (*diagonal)[static_cast<size_t>(k)] = a->At(k, k);
    const double rest = norm * norm - head * pivot;  // |v - pivot e|^2 / 2
    if (!(rest > 0)) {
      (*off)[static_cast<size_t>(k)] = head;
      continue;
    }
    v[static_cast<size_t>(begin)] -= pivot;
    const double scale = 1 / rest;
    scales[static_cast<size_t>(k)] = scale;
    std::copy(v.begin() + begin, v.end(), reflectors.Row(k) + begin);
    const double* u = v.data();
    ForRows(size, size, pool, [&](int64_t i) {
      p[static_cast<size_t>(begin + i)] = scale * Dot(a->Row(begin + i) + begin, u + begin, size);
    });
    const double half = 0.5 * scale * Dot(p.data() + begin, u + begin, size);
    AddScaled(-half, u + begin, size, p.data() + begin);
    ForRows(size, size, pool, [&](int64_t i) {
      double* row = a->Row(begin + i) + begin;
      AddScaled(-u[begin + i], p.data() + begin, size, row);
      AddScaled(-p[static_cast<size_t>(begin + i)], u + begin, size, row);
    });
  }
  for (int64_t k = std::max<int64_t>(0, n - 2); k < n; ++k) {
    (*diagonal)[static_cast<size_t>(k)] = a->At(k, k);
    if (k + 1 < n) (*off)[static_cast<size_t>(k)] = a->At(k + 1, k);
  }
  // Q = H_0 H_1 ...; Q^T, row by row: e_i^T Q^T = (Q e_i)^T is not contiguous, so each row of Q is
  // made: r H_0 H_1 ...; and Q is turned over at the end.
  Matrix q(n, n);
  ForRows(n, n, pool, [&](int64_t i) {
    double* row = q.Row(i);
    row[i] = 1;
    for (int64_t k = 0; k + 2 < n; ++k) {
      if (scales[static_cast<size_t>(k)] == 0) continue;
      const double* u = reflectors.Row(k) + k + 1;
      const double along = scales[static_cast<size_t>(k)] * Dot(row + k + 1, u, n - k - 1);
      AddScaled(-along, u, n - k - 1, row + k + 1);
    }
  });
  ForRows(n, n, pool, [&](int64_t i) {
    for (int64_t j = 0; j < n; ++j) a->At(i, j) = q.At(j, i);
  });
}

struct Rotation {
  int64_t row;
  double cosine, sine;
};

// Rotations of neighbouring rows of `vectors`, in order; columns are independent.
void Rotate(const std::vector<Rotation>& rotations, Matrix* vectors, ThreadPool* pool) {
  constexpr int64_t kColumns = 64;
  const int64_t n = vectors->columns;
  pool->ParallelFor((n + kColumns - 1) / kColumns, [&](int64_t tile) {
    const int64_t first = tile * kColumns;
    const int64_t size = std::min(kColumns, n - first);
    for (const Rotation& rotation : rotations) {
      double* low = vectors->Row(rotation.row) + first;
      double* high = vectors->Row(rotation.row + 1) + first;
      for (int64_t k = 0; k < size; ++k) {
        const double x = high[k];
        high[k] = rotation.sine * low[k] + rotation.cosine * x;
        low[k] = rotation.cosine * low[k] - rotation.sine * x;
      }
    }
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

SymmetricEigen EigenOfSymmetric(Matrix a, ThreadPool* pool) {
  const int64_t n = a.rows;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      if (!std::isfinite(a.At(i, j))) Fail("the matrix has elements that are not finite");
      a.At(j, i) = a.At(i, j);
    }
  }
  std::vector<double> diagonal(static_cast<size_t>(n)), off(static_cast<size_t>(n));
  Tridiagonalise(&a, &diagonal, &off, pool);
  std::vector<Rotation> rotations;
  for (int64_t first = 0; first < n; ++first) {
    for (int iteration = 0;; ++iteration) {
      int64_t last = first;
      for (; last + 1 < n; ++last) {
        const auto at = static_cast<size_t>(last);
        const double size = std::abs(diagonal[at]) + std::abs(diagonal[at + 1]);
        if (std::abs(off[at]) <= std::numeric_limits<double>::epsilon() * size) break;
      }
      if (last == first) break;
      if (iteration == 200) Fail("the eigenvalues cannot be found: scale the features");
      Sweep(first, last, &diagonal, &off, &rotations);
      if (static_cast<int64_t>(rotations.size()) >= 4 * n) {
        Rotate(rotations, &a, pool);
        rotations.clear();
      }
    }
  }
  Rotate(rotations, &a, pool);
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
    return diagonal[static_cast<size_t>(i)] > diagonal[static_cast<size_t>(j)];
  });
  SymmetricEigen eigen{std::vector<double>(static_cast<size_t>(n)), Matrix(n, n)};
  for (int64_t k = 0; k < n; ++k) {
    const int64_t from = order[static_cast<size_t>(k)];
    eigen.values[static_cast<size_t>(k)] = diagonal[static_cast<size_t>(from)];
    const double* row = a.Row(from);
    const double* largest = std::max_element(
        row, row + n, [](double x, double y) { return std::abs(x) < std::abs(y); });
    const double sign = *largest < 0 ? -1 : 1;
    for (int64_t j = 0; j < n; ++j) eigen.vectors.At(k, j) = sign * row[j];
  }
  return eigen;
}

}  // namespace beamline::engine
