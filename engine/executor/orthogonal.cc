#include "engine/executor/orthogonal.h"

#include <cmath>

namespace beamline::engine {
namespace {

// In eight lanes, so that compilers can use vectors without changing the order of the sum.
double Dot(const double* a, const double* b, int64_t n) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t l = 0; l < 8; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (; i < n; ++i) lanes[i % 8] += a[i] * b[i];
  for (int64_t half = 4; half > 0; half /= 2) {
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// Takes from `row` its parts along the `count` unit rows before it, and gives it length 1.
void Orthonormalise(const std::vector<double>& rows, int64_t count, int64_t n, double* row) {
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t r = 0; r < count; ++r) {
      const double* unit = rows.data() + r * n;
      const double along = Dot(unit, row, n);
      for (int64_t j = 0; j < n; ++j) row[j] -= along * unit[j];
    }
    const double length = std::sqrt(Dot(row, row, n));
    for (int64_t j = 0; j < n; ++j) row[j] /= length;
  }
}

}  // namespace

std::vector<double> OrthogonalBlocks(int64_t n, int64_t columns, const Philox& random) {
  std::vector<double> result(static_cast<size_t>(n * columns));
  std::vector<double> rows(static_cast<size_t>(n * n));
  for (int64_t block = 0; block < columns / n; ++block) {
    for (int64_t r = 0; r < n; ++r) {
      double* row = rows.data() + r * n;
      const int64_t first = r * columns + block * n;
      for (int64_t j = 0; j < n; ++j) row[j] = random.Normal(static_cast<uint64_t>(first + j));
      Orthonormalise(rows, r, n, row);
      for (int64_t j = 0; j < n; ++j) result[static_cast<size_t>(first + j)] = row[j];
    }
  }
  return result;
}

}  // namespace beamline::engine
