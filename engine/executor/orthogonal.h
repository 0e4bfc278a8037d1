// Random orthogonal matrices.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/philox.h"

namespace beamline::engine {

// [n, columns], columns a multiple of n: blocks of n columns, each an orthogonal matrix drawn from
// the Haar measure: the normal numbers of `random` (element i by its index), made orthonormal row
// by row (Gram and Schmidt, twice: "twice is enough", Giraud et al. 2005). Plain arithmetic in
// double: the same bits on every machine. Takes about 4 n^3 operations a block.
std::vector<double> OrthogonalBlocks(int64_t n, int64_t columns, const Philox& random);

}  // namespace beamline::engine
