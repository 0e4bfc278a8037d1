// Products of panels in double: what normal equations and covariances are made of.
#include "engine/backend/cpu/learner_kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace beamline::engine::cpu::BEAMLINE_ISA {

namespace {

// Rows and vectors of c that are held in registers.
#if defined(__AVX512F__)
constexpr int kWidth = 8, kRows = 8, kVectors = 2;
using Doubles = __m512d;
inline __attribute__((always_inline)) Doubles Load(const double* p) { return _mm512_loadu_pd(p); }
inline __attribute__((always_inline)) void Store(double* p, Doubles x) { _mm512_storeu_pd(p, x); }
inline __attribute__((always_inline)) Doubles MulAdd(double a, Doubles b, Doubles c) {
  return _mm512_fmadd_pd(_mm512_set1_pd(a), b, c);
}
#elif defined(__AVX2__)
constexpr int kWidth = 4, kRows = 4, kVectors = 2;
using Doubles = __m256d;
inline __attribute__((always_inline)) Doubles Load(const double* p) { return _mm256_loadu_pd(p); }
inline __attribute__((always_inline)) void Store(double* p, Doubles x) { _mm256_storeu_pd(p, x); }
inline __attribute__((always_inline)) Doubles MulAdd(double a, Doubles b, Doubles c) {
  return _mm256_fmadd_pd(_mm256_set1_pd(a), b, c);
}
#else
constexpr int kWidth = 1, kRows = 4, kVectors = 2;
using Doubles = double;
inline __attribute__((always_inline)) Doubles Load(const double* p) { return *p; }
inline __attribute__((always_inline)) void Store(double* p, Doubles x) { *p = x; }
inline __attribute__((always_inline)) Doubles MulAdd(double a, Doubles b, Doubles c) {
  return __builtin_fma(a, b, c);
}
#endif

template <int rows_held, int vectors>
void Tile(const double* a, const double* b, int64_t rows, double* c, int64_t stride) {
  Doubles sum[rows_held][vectors];
#pragma GCC unroll 8
  for (int i = 0; i < rows_held; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) sum[i][v] = Load(c + i * stride + v * kWidth);
  }
  for (int64_t r = 0; r < rows; ++r, a += kLanes, b += kLanes) {
    Doubles right[vectors];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) right[v] = Load(b + v * kWidth);
#pragma GCC unroll 8
    for (int i = 0; i < rows_held; ++i) {
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) sum[i][v] = MulAdd(a[i], right[v], sum[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < rows_held; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v) Store(c + i * stride + v * kWidth, sum[i][v]);
  }
}

// No more rows than are needed, or almost.
template <int vectors>
void TileOf(int64_t height, const double* a, const double* b, int64_t rows, double* c) {
  if (height == 1) return Tile<1, vectors>(a, b, rows, c, kLanes);
  if (height == 2) return Tile<2, vectors>(a, b, rows, c, kLanes);
  if (height <= 4) return Tile<4, vectors>(a, b, rows, c, kLanes);
  Tile<kRows, vectors>(a, b, rows, c, kLanes);
}

}  // namespace

void AddProducts(const double* a, const double* b, int64_t rows, double* c, int64_t stride,
                 int64_t height, int64_t width) {
  if (height == kLanes && width == kLanes) {
    for (int64_t i = 0; i < kLanes; i += kRows) {
      for (int64_t j = 0; j < kLanes; j += kVectors * kWidth) {
        Tile<kRows, kVectors>(a + i, b + j, rows, c + i * stride + j, stride);
      }
    }
    return;
  }
  // At an edge elsewhere, as a whole; and turned, if it is narrow: vectors are then as long as they
  // can be.
  double sums[kLanes * kLanes] = {};
  const bool turned = width <= 4 && height > width;
  const int64_t down = turned ? 1 : kLanes, across = turned ? kLanes : 1;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) sums[i * down + j * across] = c[i * stride + j];
  }
  const double* const left = turned ? b : a;
  const double* const right = turned ? a : b;
  const int64_t lines = turned ? width : height, columns = turned ? height : width;
  for (int64_t i = 0; i < lines; i += kRows) {
    for (int64_t j = 0; j < columns; j += kVectors * kWidth) {
      double* const to = sums + i * kLanes + j;
      if (columns - j > kWidth) {
        TileOf<kVectors>(lines - i, left + i, right + j, rows, to);
      } else {
        TileOf<1>(lines - i, left + i, right + j, rows, to);
      }
    }
  }
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) c[i * stride + j] = sums[i * down + j * across];
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
