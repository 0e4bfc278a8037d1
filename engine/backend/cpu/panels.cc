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

void Tile(const double* a, const double* b, int64_t rows, double* c, int64_t stride) {
  Doubles sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sum[i][v] = Load(c + i * stride + v * kWidth);
  }
  for (int64_t r = 0; r < rows; ++r, a += kLanes, b += kLanes) {
    Doubles right[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) right[v] = Load(b + v * kWidth);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[i][v] = MulAdd(a[i], right[v], sum[i][v]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) Store(c + i * stride + v * kWidth, sum[i][v]);
  }
}

}  // namespace

void AddProducts(const double* a, const double* b, int64_t rows, double* c, int64_t stride,
                 int64_t height, int64_t width) {
  // A tile at the edge is made whole, elsewhere.
  double edge[kLanes * kLanes] = {};
  const bool whole = height == kLanes && width == kLanes;
  for (int64_t i = 0; !whole && i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) edge[i * kLanes + j] = c[i * stride + j];
  }
  double* const to = whole ? c : edge;
  const int64_t to_stride = whole ? stride : kLanes;
  for (int64_t i = 0; i < height; i += kRows) {
    for (int64_t j = 0; j < width; j += kVectors * kWidth) {
      Tile(a + i, b + j, rows, to + i * to_stride + j, to_stride);
    }
  }
  for (int64_t i = 0; !whole && i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) c[i * stride + j] = edge[i * kLanes + j];
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
