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

// gram += x^T diag(w) x, of which the lower triangle alone is kept; x: [rows, gram.rows],
// row-major; w: [rows], null for ones. Rows are added in order.
void AddGram(const double* x, const double* w, int64_t rows, Matrix* gram, ThreadPool* pool);
// product += x^T diag(w) y; y: [rows, product.columns].
void AddCross(const double* x, const double* y, const double* w, int64_t rows, Matrix* product,
              ThreadPool* pool);

// Solves a x = b for symmetric, positive semidefinite a, of which the lower triangle is read and
// overwritten (Cholesky); b: [a.rows, right-hand sides] becomes x. An unknown that the others
// before it determine (its pivot is less than 1e-13 of its diagonal element) is 0: so a singular
// system has a solution as well.
void SolveSymmetric(Matrix* a, Matrix* b, ThreadPool* pool);

// All eigenvalues of symmetric a, descending, and their eigenvectors, the rows of `vectors`, of
// length 1, whose largest element (the first of them) is positive. Reads the lower triangle.
// Householder tridiagonalisation, then implicit QL with Wilkinson's shift (Golub, Van Loan, 8.3).
// Throws Error if an element is not finite.
struct SymmetricEigen {
  std::vector<double> values;
  Matrix vectors;
};
SymmetricEigen EigenOfSymmetric(Matrix a, ThreadPool* pool);

}  // namespace beamline::engine
