// Dense linear algebra in double, for closed forms. The bits do not depend on the number of
// threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/thread_pool.h"

namespace beamline::engine {

// Row-major, zeros at first.
struct Matrix {
  Matrix() = default;
  Matrix(int64_t rows, int64_t columns)
      : rows(rows), columns(columns), values(static_cast<size_t>(rows * columns)) {}

  double* Row(int64_t row) { return values.data() + row * columns; }
  const double* Row(int64_t row) const { return values.data() + row * columns; }
  double& At(int64_t row, int64_t column) { return Row(row)[column]; }
  double At(int64_t row, int64_t column) const { return Row(row)[column]; }

  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<double> values;
};

// gram += x^T diag(w) x, of which the lower triangle alone is meant; x: [rows, gram.rows],
// row-major; w: [rows], null for ones. Rows are added in order, by fused multiply-adds.
void AddGram(const double* x, const double* w, int64_t rows, Matrix* gram, ThreadPool* pool);
// product += x^T diag(w) y; y: [rows, product.columns].
void AddCross(const double* x, const double* y, const double* w, int64_t rows, Matrix* product,
              ThreadPool* pool);

// product += x^T y, by the calling thread.
void AddCross(const float* x, const double* y, int64_t rows, Matrix* product);

// Sums over rows of features x and outputs y, both less the first row's: what is large and the same
// in all rows would cost digits.
struct Moments {
  Moments(int64_t features, int64_t outputs);

  // Adds rows, in order. x: [rows, features], y: [rows, outputs], w: [rows] or null for ones.
  void Add(const float* x, const double* y, const double* w, int64_t rows, ThreadPool* pool);

  // Of this, and of what Add takes.
  static int64_t BytesOf(int64_t features, int64_t outputs);

  std::vector<double> origin;  // x of the first row; empty before it
  std::vector<double> output_origin;
  Matrix gram;                 // of w x x^T, the lower triangle
  Matrix cross;                // of w x y^T
  std::vector<double> sums;    // of w x
  std::vector<double> totals;  // of w y
  double squares = 0;          // of w |y|^2
  double weight = 0;           // of w
};

// A matrix b as the kernels take it, for products with many rows.
class Multiplier {
 public:
  explicit Multiplier(const Matrix& b);

  // y += (x - origin) b, by the calling thread; an element is one chain over b.rows in order. x:
  // [rows, b.rows]; y: [rows, b.columns]; origin: [b.rows], or null for 0.
  void Add(const float* x, const double* origin, int64_t rows, double* y) const;
  void Add(const double* x, const double* origin, int64_t rows, double* y) const;

 private:
  int64_t inner_;
  int64_t columns_;
  std::vector<double> packed_;
};

// Solves a x = b for symmetric, positive semidefinite a, of which the lower triangle is read and
// overwritten (Cholesky); b: [a.rows, right-hand sides] becomes x. An unknown that the others
// before it determine (its pivot is less than `singular` of its diagonal element) is 0: so a
// singular system has a solution as well. Throws Error if a pivot is as far below 0.
void SolveSymmetric(Matrix* a, Matrix* b, ThreadPool* pool, double singular = 1e-13);

// The eigenvalues of symmetric a, descending, and the eigenvectors of the first `count`, the rows
// of `vectors`, of length 1, whose largest element (the first of them) is positive. Reads the lower
// triangle. Householder tridiagonalisation, then implicit QL with Wilkinson's shift (Golub, Van
// Loan, 8.3); of few vectors QL for the values alone, and inverse iteration. Throws Error if an
// element is not finite.
struct SymmetricEigen {
  std::vector<double> values;
  Matrix vectors;
};
SymmetricEigen EigenOfSymmetric(Matrix a, int64_t count, ThreadPool* pool);

}  // namespace beamline::engine
