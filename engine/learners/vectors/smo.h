// Sequential minimal optimisation: the quadratic programs of support vector machines.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/learners/vectors/kernel_cache.h"

namespace beamline::engine {

// Variables of one sign, one for each place of a segment of kernels.
struct SmoPiece {
  int64_t segment = 0;
  double sign = 1;
  // -sign times the gradient where all variables are 0, of each place.
  std::vector<double> scores;
};

struct SmoSolution {
  std::vector<std::vector<double>> variables;  // of each piece, in the order of places
  double constant = 0;                         // rho: decisions are sum sign a K - rho
  bool converged = true;                       // false: given up before
};

// The least of a^T Q a / 2 + p^T a with 0 <= a <= cost, sum sign a = 0, Q = sign sign K. Each
// iteration solves for two variables: the one whose score violates the conditions most, and the one
// that gains most with it by second order (Fan, Chen, Lin 2005). Ends when the conditions hold
// within `tolerance`, as LIBSVM does, or where no pair lowers the sum any more; gives up after 10
// million iterations, or 100 a variable if that is more. Everything is a function of the arguments.
SmoSolution SolveSmo(std::vector<SmoPiece> pieces, double cost, double tolerance,
                     KernelCache* kernels);

}  // namespace beamline::engine
