// How alike rows are, many at a time.
#pragma once

#include <cstdint>

#include "engine/learners/libsvm/support_vectors.h"
#include "engine/learners/linear_algebra.h"

namespace beamline::engine {

// k(x_i, y_j): [rows, others], by the calling thread, in double. x: [rows, features]; y: [others,
// features]. The same bits however rows are cut, and for every instruction set.
Matrix KernelsOf(const SupportVectorSpec& spec, double gamma, const float* x, int64_t rows,
                 const float* y, int64_t others, int64_t features);

}  // namespace beamline::engine
