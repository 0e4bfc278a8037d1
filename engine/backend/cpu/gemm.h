// Packing, and the products of whole panels, for every kernel that has products in it.
#pragma once

#include "engine/backend/cpu/micro_kernel.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// How far ahead of itself Pack() fetches.
inline constexpr int64_t kPrefetchRows = 16;

// c[rows, kPanel] (+)= a[rows, inner] b[inner, kPanel]; a is [inner, rows] if transposed. An
// element is one chain of fused multiply-adds over `inner` in order, from zero or from what c
// holds.
template <int kRows, bool kTransposeA>
void MicroKernel(int64_t inner, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                 int64_t ldc, bool accumulate) {
  Vector sum[kRows][2];
  Begin<kRows, 2>(sum, c, ldc, accumulate);
  MultiplyInto<kRows, 2, kTransposeA>(sum, inner, a, lda, b, ldb);
  End<kRows, 2>(sum, c, ldc);
}

using MicroFn = void (*)(int64_t, const float*, int64_t, const float*, int64_t, float*, int64_t,
                         bool);
template <bool kTransposeA, int kRows>
constexpr MicroFn Micro() {
  if constexpr (kRows <= kTileRows) return MicroKernel<kRows, kTransposeA>;
  return nullptr;
}
// kFn[rows], rows from 1 to kTileRows.
template <bool kTransposeA>
struct MicroTable {
  static constexpr MicroFn kFn[13] = {nullptr,
                                      Micro<kTransposeA, 1>(),
                                      Micro<kTransposeA, 2>(),
                                      Micro<kTransposeA, 3>(),
                                      Micro<kTransposeA, 4>(),
                                      Micro<kTransposeA, 5>(),
                                      Micro<kTransposeA, 6>(),
                                      Micro<kTransposeA, 7>(),
                                      Micro<kTransposeA, 8>(),
                                      Micro<kTransposeA, 9>(),
                                      Micro<kTransposeA, 10>(),
                                      Micro<kTransposeA, 11>(),
                                      Micro<kTransposeA, 12>()};
};

// packed[k * kPanel + j] = op(b)[first_k + k, first_column + j], zero beyond the last column.
// b [k, n] has rows of ldb elements; if transposed it is [n, k].
inline void Pack(const float* b, int64_t ldb, bool transpose_b, int64_t first_k, int64_t inner,
                 int64_t first_column, int64_t columns, float* packed) {
  if (!transpose_b) {
    const float* from = b + first_k * ldb + first_column;
    if (columns == kPanel) {
      for (int64_t k = 0; k < inner; ++k, from += ldb, packed += kPanel) {
        // Rows are far apart: the hardware does not see the next one coming.
        __builtin_prefetch(from + kPrefetchRows * ldb);
        __builtin_prefetch(from + kPrefetchRows * ldb + kPanel - 1);
        Store(packed, Load(from));
        Store(packed + Vector::kWidth, Load(from + Vector::kWidth));
      }
      return;
    }
    for (int64_t k = 0; k < inner; ++k, from += ldb, packed += kPanel) {
      for (int j = 0; j < kPanel; ++j) packed[j] = j < columns ? from[j] : 0.0f;
    }
    return;
  }
  int64_t j = 0;
  for (; j + 8 <= columns; j += 8) {
    const float* from = b + (first_column + j) * ldb + first_k;
    int64_t k = 0;
    for (; k + 8 <= inner; k += 8) {
      Transpose8x8(from + k, ldb, packed + k * kPanel + j, kPanel);
    }
    for (; k < inner; ++k) {
      for (int i = 0; i < 8; ++i) packed[k * kPanel + j + i] = from[i * ldb + k];
    }
  }
  for (; j < kPanel; ++j) {
    const float* from = b + (first_column + j) * ldb + first_k;
    for (int64_t k = 0; k < inner; ++k) packed[k * kPanel + j] = j < columns ? from[k] : 0.0f;
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
