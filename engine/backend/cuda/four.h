// Several floats that move as one.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

template <int kWidth>
struct alignas(4 * kWidth) Pack {
  float v[kWidth];
};
using Four = Pack<4>;

// At a multiple of their size.
template <int kWidth>
BEAMLINE_DEVICE const Pack<kWidth>& PackAt(const float* at) {
  return *reinterpret_cast<const Pack<kWidth>*>(at);
}
template <int kWidth>
BEAMLINE_DEVICE Pack<kWidth>& PackAt(float* at) {
  return *reinterpret_cast<Pack<kWidth>*>(at);
}
BEAMLINE_DEVICE const Four& FourAt(const float* at) { return PackAt<4>(at); }
BEAMLINE_DEVICE Four& FourAt(float* at) { return PackAt<4>(at); }

// f.At<width>(place, column) for every `width` elements of a row of a matrix: four where rows can
// be cut so, or else one.
template <typename F>
void PackedCells(const RunState& run, int64_t rows, int64_t columns, const F& f) {
  if (columns % 4 == 0) {
    Cells(run, rows, columns / 4, [=] BEAMLINE_LAMBDA(int64_t i, int64_t quad) {
      f.template At<4>(i * columns + quad * 4, quad * 4);
    });
  } else {
    Cells(run, rows, columns,
          [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) { f.template At<1>(i * columns + j, j); });
  }
}

// Floats from row to row of a matrix in shared memory: an odd multiple of four, so that eight rows
// lie in different banks.
inline int PaddedStride(int columns) { return ((columns + 3) / 4 | 1) * 4; }

}  // namespace beamline::engine::cuda
