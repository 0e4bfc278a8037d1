// What matrix product and convolution share: the loop that multiplies, and what follows it.
//
// An output element is one chain of fused multiply-adds over the inner index in order. So its bits
// do not depend on the size of the tile that it is computed in, or on the instruction set.
#pragma once

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/vector.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// Columns of b that are packed and multiplied together.
inline constexpr int kPanel = 2 * Vector::kWidth;

// sum[rows, kVectors vectors] += a[rows, inner] b[inner, kVectors vectors]; a is read as [inner,
// rows] if it is transposed.
template <int kRows, int kVectors, bool kTransposeA>
inline __attribute__((always_inline)) void MultiplyInto(Vector (&sum)[kRows][kVectors],
                                                        int64_t inner, const float* a, int64_t lda,
                                                        const float* b, int64_t ldb) {
  for (int64_t k = 0; k < inner; ++k) {
    Vector right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) right[v] = Load(b + k * ldb + v * Vector::kWidth);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const Vector left = Broadcast(kTransposeA ? a[k * lda + r] : a[r * lda + k]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[r][v] = MulAdd(left, right[v], sum[r][v]);
    }
  }
}

template <int kRows, int kVectors>
inline __attribute__((always_inline)) void Begin(Vector (&sum)[kRows][kVectors], const float* c,
                                                 int64_t ldc, bool accumulate) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = accumulate ? Load(c + r * ldc + v * Vector::kWidth) : Broadcast(0.0f);
    }
  }
}

template <int kRows, int kVectors>
inline __attribute__((always_inline)) void End(const Vector (&sum)[kRows][kVectors], float* c,
                                               int64_t ldc) {
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Store(c + r * ldc + v * Vector::kWidth, sum[r][v]);
  }
}

// An inner index that runs over pieces of `length` elements: for each of `outer` times `inner`
// pieces in order, a and b move on by the distances given.
struct Sweep {
  int64_t outer = 1;
  int64_t inner = 1;
  int64_t length = 0;
  int64_t a_outer = 0;
  int64_t a_inner = 0;
  int64_t b_outer = 0;
  int64_t b_inner = 0;
};

// c[kRows, kVectors vectors] (+)= a b over the sweep.
template <int kRows, int kVectors, bool kTransposeA>
void SweepKernel(const Sweep& sweep, const float* a, int64_t lda, const float* b, int64_t ldb,
                 float* c, int64_t ldc, bool accumulate) {
  Vector sum[kRows][kVectors];
  Begin<kRows, kVectors>(sum, c, ldc, accumulate);
  for (int64_t o = 0; o < sweep.outer; ++o) {
    for (int64_t i = 0; i < sweep.inner; ++i) {
      MultiplyInto<kRows, kVectors, kTransposeA>(sum, sweep.length,
                                                 a + o * sweep.a_outer + i * sweep.a_inner, lda,
                                                 b + o * sweep.b_outer + i * sweep.b_inner, ldb);
    }
  }
  End<kRows, kVectors>(sum, c, ldc);
}

using SweepFn = void (*)(const Sweep&, const float*, int64_t, const float*, int64_t, float*,
                         int64_t, bool);

template <int kRows, int kVectors, bool kTransposeA>
constexpr SweepFn SweepOf() {
  if constexpr (kRows <= kTileRows) return SweepKernel<kRows, kVectors, kTransposeA>;
  return nullptr;
}

// By rows: 1 to kTileRows.
template <int kVectors, bool kTransposeA>
struct SweepTable {
  static constexpr SweepFn kFn[13] = {nullptr,
                                      SweepOf<1, kVectors, kTransposeA>(),
                                      SweepOf<2, kVectors, kTransposeA>(),
                                      SweepOf<3, kVectors, kTransposeA>(),
                                      SweepOf<4, kVectors, kTransposeA>(),
                                      SweepOf<5, kVectors, kTransposeA>(),
                                      SweepOf<6, kVectors, kTransposeA>(),
                                      SweepOf<7, kVectors, kTransposeA>(),
                                      SweepOf<8, kVectors, kTransposeA>(),
                                      SweepOf<9, kVectors, kTransposeA>(),
                                      SweepOf<10, kVectors, kTransposeA>(),
                                      SweepOf<11, kVectors, kTransposeA>(),
                                      SweepOf<12, kVectors, kTransposeA>()};
};

// Vectors that hold so many columns of a panel: 1 or 2.
inline __attribute__((always_inline)) int VectorsOf(int64_t columns) {
  return columns <= Vector::kWidth ? 1 : 2;
}
// The same for all columns: what a packed row holds.
inline __attribute__((always_inline)) int64_t PackedColumns(int64_t columns) {
  return (columns + Vector::kWidth - 1) / Vector::kWidth * Vector::kWidth;
}

// What is done to a tile while it is in cache: y = activation(y + bias), or y times the slope of
// the activation at `saved`.
struct Epilogue {
  const float* bias = nullptr;  // of the first column; null: none
  bool scalar_bias = false;     // bias[0] for every element
  Activation activation = Activation::kLinear;
  float alpha = 0;

  bool empty() const { return bias == nullptr && activation == Activation::kLinear; }
};

template <Activation kKind>
inline __attribute__((always_inline)) void FinishAs(const Epilogue& e, int64_t rows,
                                                    int64_t columns, float* to, int64_t ldy,
                                                    const float* first_saved, int64_t lds) {
  for (int64_t i = 0; i < rows; ++i) {
    float* __restrict y = to + i * ldy;
    if (first_saved != nullptr) {
      const float* saved = first_saved + i * lds;
#pragma GCC ivdep
      for (int64_t j = 0; j < columns; ++j) y[j] *= functors::Slope<kKind>(saved[j], e.alpha);
    } else if (e.bias != nullptr && e.scalar_bias) {
      const float bias = e.bias[0];
#pragma GCC ivdep
      for (int64_t j = 0; j < columns; ++j) y[j] = functors::Activate<kKind>(y[j] + bias, e.alpha);
    } else if (e.bias != nullptr) {
      const float* bias = e.bias;
#pragma GCC ivdep
      for (int64_t j = 0; j < columns; ++j) {
        y[j] = functors::Activate<kKind>(y[j] + bias[j], e.alpha);
      }
    } else {
#pragma GCC ivdep
      for (int64_t j = 0; j < columns; ++j) y[j] = functors::Activate<kKind>(y[j], e.alpha);
    }
  }
}

// y[rows, columns] and `saved` (null: none); their rows stand ldy and lds apart.
static inline void Finish(const Epilogue& e, int64_t rows, int64_t columns, float* y, int64_t ldy,
                          const float* saved, int64_t lds) {
  if (e.empty()) return;
  functors::ForActivation(e.activation, [&](auto tag) {
    constexpr Activation kKind = decltype(tag)::kActivation;
    if (columns == kPanel) {
      FinishAs<kKind>(e, rows, kPanel, y, ldy, saved, lds);
    } else if (columns == Vector::kWidth) {
      FinishAs<kKind>(e, rows, Vector::kWidth, y, ldy, saved, lds);
    } else {
      FinishAs<kKind>(e, rows, columns, y, ldy, saved, lds);
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
