// Squared Euclidean distances, for learners that compare rows.
#pragma once

#include <cstdint>

namespace beamline::engine::cpu {

// Rows of a block: their features lie side by side, [features, kDistanceLanes].
inline constexpr int64_t kDistanceLanes = 16;

// squares[i, lane] = sum over f of (x[i, f] - block[f, lane])^2, in double, in the order of f: the
// same bits for every instruction set. x: [count, features]; squares: [count, kDistanceLanes].
using SquaredDistancesFn = void (*)(const float* x, int64_t count, int64_t features,
                                    const float* block, double* squares);

}  // namespace beamline::engine::cpu
