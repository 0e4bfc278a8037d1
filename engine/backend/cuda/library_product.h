// Large dense products, by cuBLASLt.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

// c [m,n] = a [m,k] b [k,n], row-major; a is stored as [k,m], b as [n,k], if transposed.
struct DenseProduct {
  const float* a;
  const float* b;
  float* c;
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  const float* bias;  // [n], added to each row of c; null: none
};

#if defined(__CUDACC__)

// The product is large enough that the library's kernels, chosen for the device, win over the tiles
// of product.h with all that they fuse. Depends on the extents and the context alone.
bool LibraryIsFaster(const RunState& run, int64_t m, int64_t n, int64_t k);
// Throws Error if the library has no kernel for it.
void LibraryProduct(const RunState& run, const DenseProduct& product);

#else

inline bool LibraryIsFaster(const RunState&, int64_t, int64_t, int64_t) { return false; }
inline void LibraryProduct(const RunState&, const DenseProduct&) {}

#endif

}  // namespace beamline::engine::cuda
