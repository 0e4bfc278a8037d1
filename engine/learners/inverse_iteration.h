// Some eigenvectors of symmetric tridiagonal matrices whose eigenvalues are known.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/learners/linear_algebra.h"

namespace beamline::engine {

// An eigenvalue of T, and a row of the unreduced block of T that it belongs to.
struct KnownEigenvalue {
  double value = 0;
  int64_t row = 0;
};

// off[i] stands between rows i and i + 1; where it is negligible T falls into blocks. Each row of
// `vectors`, [values.size(), n], becomes the eigenvector of that value, of length 1; values
// descend. Inverse iteration, orthogonal to those before it where values are near (Golub, Van
// Loan 8.2.2; LAPACK's dstein). False if a vector is not found: then others are to be sought in
// another way.
bool EigenvectorsOfTridiagonal(std::span<const double> diagonal, std::span<const double> off,
                               std::span<const KnownEigenvalue> values, Matrix* vectors);

// Whether off[i] is rounding beside its neighbours on the diagonal.
bool IsNegligible(std::span<const double> diagonal, std::span<const double> off, int64_t i);

}  // namespace beamline::engine
