// A vector of floats of the width of the instruction set that this file is compiled for.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace beamline::engine::cpu::BEAMLINE_ISA {

#define BEAMLINE_VECTOR inline __attribute__((always_inline))

#if defined(__AVX512F__)
struct Vector {
  static constexpr int kWidth = 16;
  __m512 v;
};
BEAMLINE_VECTOR Vector Load(const float* p) { return {_mm512_loadu_ps(p)}; }
BEAMLINE_VECTOR void Store(float* p, Vector x) { _mm512_storeu_ps(p, x.v); }
BEAMLINE_VECTOR Vector Broadcast(float x) { return {_mm512_set1_ps(x)}; }
BEAMLINE_VECTOR Vector MulAdd(Vector a, Vector b, Vector c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
BEAMLINE_VECTOR Vector Plus(Vector a, Vector b) { return {_mm512_add_ps(a.v, b.v)}; }
BEAMLINE_VECTOR Vector Minus(Vector a, Vector b) { return {_mm512_sub_ps(a.v, b.v)}; }
BEAMLINE_VECTOR Vector Times(Vector a, Vector b) { return {_mm512_mul_ps(a.v, b.v)}; }
BEAMLINE_VECTOR void TakeLarger(Vector x, Vector number, Vector* best, Vector* at) {
  const __mmask16 better = static_cast<__mmask16>(_mm512_cmp_ps_mask(x.v, best->v, _CMP_GT_OQ) |
                                                  _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q));
  best->v = _mm512_mask_mov_ps(best->v, better, x.v);
  at->v = _mm512_mask_mov_ps(at->v, better, number.v);
}
BEAMLINE_VECTOR Vector PlusWhere(Vector a, Vector b, Vector x, Vector y) {
  return {_mm512_mask_add_ps(a.v, _mm512_cmp_ps_mask(x.v, y.v, _CMP_EQ_OQ), a.v, b.v)};
}
BEAMLINE_VECTOR void StoreFirst(float* p, Vector x, int count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), x.v);
}
BEAMLINE_VECTOR Vector LoadFirst(const float* p, int count) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p)};
}
inline constexpr int kTileRows = 12;
#elif defined(__AVX2__)
struct Vector {
  static constexpr int kWidth = 8;
  __m256 v;
};
BEAMLINE_VECTOR Vector Load(const float* p) { return {_mm256_loadu_ps(p)}; }
BEAMLINE_VECTOR void Store(float* p, Vector x) { _mm256_storeu_ps(p, x.v); }
BEAMLINE_VECTOR Vector Broadcast(float x) { return {_mm256_set1_ps(x)}; }
BEAMLINE_VECTOR Vector MulAdd(Vector a, Vector b, Vector c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
BEAMLINE_VECTOR Vector Plus(Vector a, Vector b) { return {_mm256_add_ps(a.v, b.v)}; }
BEAMLINE_VECTOR Vector Minus(Vector a, Vector b) { return {_mm256_sub_ps(a.v, b.v)}; }
BEAMLINE_VECTOR Vector Times(Vector a, Vector b) { return {_mm256_mul_ps(a.v, b.v)}; }
BEAMLINE_VECTOR void TakeLarger(Vector x, Vector number, Vector* best, Vector* at) {
  const __m256 better =
      _mm256_or_ps(_mm256_cmp_ps(x.v, best->v, _CMP_GT_OQ), _mm256_cmp_ps(x.v, x.v, _CMP_UNORD_Q));
  best->v = _mm256_blendv_ps(best->v, x.v, better);
  at->v = _mm256_blendv_ps(at->v, number.v, better);
}
BEAMLINE_VECTOR Vector PlusWhere(Vector a, Vector b, Vector x, Vector y) {
  return {_mm256_blendv_ps(a.v, _mm256_add_ps(a.v, b.v), _mm256_cmp_ps(x.v, y.v, _CMP_EQ_OQ))};
}
BEAMLINE_VECTOR __m256i FirstMask(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
BEAMLINE_VECTOR void StoreFirst(float* p, Vector x, int count) {
  _mm256_maskstore_ps(p, FirstMask(count), x.v);
}
BEAMLINE_VECTOR Vector LoadFirst(const float* p, int count) {
  return {_mm256_maskload_ps(p, FirstMask(count))};
}
inline constexpr int kTileRows = 6;
#else
struct Vector {
  static constexpr int kWidth = 4;
  float v[4];
};
BEAMLINE_VECTOR Vector Load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
BEAMLINE_VECTOR void Store(float* p, Vector x) {
  for (int i = 0; i < 4; ++i) p[i] = x.v[i];
}
BEAMLINE_VECTOR Vector Broadcast(float x) { return {{x, x, x, x}}; }
BEAMLINE_VECTOR Vector MulAdd(Vector a, Vector b, Vector c) {
  Vector y;
  for (int i = 0; i < 4; ++i) y.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return y;
}
BEAMLINE_VECTOR Vector Plus(Vector a, Vector b) {
  Vector y;
  for (int i = 0; i < 4; ++i) y.v[i] = a.v[i] + b.v[i];
  return y;
}
BEAMLINE_VECTOR Vector Minus(Vector a, Vector b) {
  Vector y;
  for (int i = 0; i < 4; ++i) y.v[i] = a.v[i] - b.v[i];
  return y;
}
BEAMLINE_VECTOR Vector Times(Vector a, Vector b) {
  Vector y;
  for (int i = 0; i < 4; ++i) y.v[i] = a.v[i] * b.v[i];
  return y;
}
// Where x is larger than `best`, or NaN: best = x, at = number.
BEAMLINE_VECTOR void TakeLarger(Vector x, Vector number, Vector* best, Vector* at) {
  for (int i = 0; i < 4; ++i) {
    const bool better = x.v[i] > best->v[i] || x.v[i] != x.v[i];
    best->v[i] = better ? x.v[i] : best->v[i];
    at->v[i] = better ? number.v[i] : at->v[i];
  }
}
// a + b where x equals y, else a.
BEAMLINE_VECTOR Vector PlusWhere(Vector a, Vector b, Vector x, Vector y) {
  Vector sum;
  for (int i = 0; i < 4; ++i) sum.v[i] = x.v[i] == y.v[i] ? a.v[i] + b.v[i] : a.v[i];
  return sum;
}
// The first `count` elements alone, from 1 to kWidth; loaded with zeros behind them.
BEAMLINE_VECTOR void StoreFirst(float* p, Vector x, int count) {
  for (int i = 0; i < count; ++i) p[i] = x.v[i];
}
BEAMLINE_VECTOR Vector LoadFirst(const float* p, int count) {
  Vector x = {};
  for (int i = 0; i < count; ++i) x.v[i] = p[i];
  return x;
}
inline constexpr int kTileRows = 4;
#endif

// to[j * to_stride + i] = from[i * from_stride + j] for i, j < 8.
BEAMLINE_VECTOR void Transpose8x8(const float* from, int64_t from_stride, float* to,
                                  int64_t to_stride) {
#if defined(__AVX2__)
  __m256 r[8];
  for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * from_stride);
  __m256 t[8];
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int h = 0; h < 2; ++h) {
    r[4 * h + 0] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0x44);
    r[4 * h + 1] = _mm256_shuffle_ps(t[4 * h], t[4 * h + 2], 0xee);
    r[4 * h + 2] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0x44);
    r[4 * h + 3] = _mm256_shuffle_ps(t[4 * h + 1], t[4 * h + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
#else
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) to[j * to_stride + i] = from[i * from_stride + j];
  }
#endif
}

#undef BEAMLINE_VECTOR

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
