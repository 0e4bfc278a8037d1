// Elementary functions in float, the same bits on every machine.
//
// libm's differ between versions and between CPUs. These are plain branch-free C++ with explicit
// fused multiply-adds, so a compiler vectorises them, no instruction set changes their bits, and a
// device compiler can take them as they are. They must be compiled with -ffp-contract=off and
// without -ffast-math. All propagate NaN. Errors are given in units in the last place (ulp),
// measured over all floats of the range by tests/engine/core.
//
// Every function has a twin in double that calls libm: it serves the float64 graphs with which
// gradients are checked, and makes no promise about bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__) || defined(__HIPCC__)
#define BEAMLINE_MATH static __host__ __device__ inline __attribute__((unused))
#else
// Forced inline: the same header is compiled for several instruction sets, and a linker must not
// merge a copy made for one into code that runs on another.
#define BEAMLINE_MATH static inline __attribute__((always_inline, unused))
#endif

namespace beamline::engine::math {

BEAMLINE_MATH float Fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
BEAMLINE_MATH double Fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
BEAMLINE_MATH float Sqrt(float x) { return __builtin_sqrtf(x); }
BEAMLINE_MATH double Sqrt(double x) { return __builtin_sqrt(x); }
BEAMLINE_MATH float Abs(float x) { return __builtin_fabsf(x); }
BEAMLINE_MATH double Abs(double x) { return __builtin_fabs(x); }

template <typename T>
BEAMLINE_MATH T Max(T a, T b) {
  return a > b ? a : b;
}
template <typename T>
BEAMLINE_MATH T Min(T a, T b) {
  return a < b ? a : b;
}

BEAMLINE_MATH uint32_t Bits(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return bits;
}
BEAMLINE_MATH float FromBits(uint32_t bits) {
  float x;
  __builtin_memcpy(&x, &bits, 4);
  return x;
}

// e^x, within 2 ulp. Saturates: 2^-126 below -87.33, about 1.7e38 above 88.02.
// Range reduction by Cody and Waite; polynomial of Cephes.
BEAMLINE_MATH float Exp(float x) {
  x = x > 88.02f ? 88.02f : x;
  x = x < -87.33f ? -87.33f : x;
  const float kMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer.
  const float shifted = Fma(x, 1.44269504088896341f, kMagic);
  const float n = shifted - kMagic;
  float r = Fma(n, -0.693359375f, x);
  r = Fma(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;
  p = Fma(p, r, 1.3981999507e-3f);
  p = Fma(p, r, 8.3334519073e-3f);
  p = Fma(p, r, 4.1665795894e-2f);
  p = Fma(p, r, 1.6666665459e-1f);
  p = Fma(p, r, 5.0000001201e-1f);
  p = Fma(p, r * r, r) + 1.0f;
  return p * FromBits((Bits(shifted) << 23) + 0x3f800000u);
}
BEAMLINE_MATH double Exp(double x) { return std::exp(x); }

// Natural logarithm, within 2 ulp for normal x > 0; NaN for x < 0; about -87.3 for x = 0 and for
// denormal x (they count as 2^-126); +infinity counts as the largest float. Polynomial of Cephes.
BEAMLINE_MATH float Log(float x) {
  const float kSmallest = 1.17549435e-38f;
  const float kLargest = 3.40282347e+38f;
  float v = x > kLargest ? kLargest : x;
  v = v < kSmallest ? kSmallest : v;
  const uint32_t offset = Bits(v) - 0x3f3504f3u;  // mantissa from sqrt(1/2)
  const float e = static_cast<float>(static_cast<int32_t>(offset) >> 23);
  const float m = FromBits((offset & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float p = 7.0376836292e-2f;
  p = Fma(p, m, -1.1514610310e-1f);
  p = Fma(p, m, 1.1676998740e-1f);
  p = Fma(p, m, -1.2420140846e-1f);
  p = Fma(p, m, 1.4249322787e-1f);
  p = Fma(p, m, -1.6668057665e-1f);
  p = Fma(p, m, 2.0000714765e-1f);
  p = Fma(p, m, -2.4999993993e-1f);
  p = Fma(p, m, 3.3333331174e-1f);
  const float z = m * m;
  float y = Fma(e, -2.12194440e-4f, m * z * p);
  y = Fma(-0.5f, z, y) + m;
  y = Fma(e, 0.693359375f, y);
  return x < 0.0f ? __builtin_nanf("") : (x != x ? x : y);
}
BEAMLINE_MATH double Log(double x) { return std::log(x); }

// log(1 + x) for x >= 0, within 3 ulp.
BEAMLINE_MATH float Log1p(float x) {
  const float y = 1.0f + x;
  return Log(y) + (x - (y - 1.0f)) / y;
}
BEAMLINE_MATH double Log1p(double x) { return std::log1p(x); }

// Hyperbolic tangent, within 5 ulp: the rational approximation of Eigen.
BEAMLINE_MATH float Tanh(float x) {
  float v = x > 7.90531110763549805f ? 7.90531110763549805f : x;
  v = v < -7.90531110763549805f ? -7.90531110763549805f : v;
  const float z = v * v;
  float p = -2.76076847742355e-16f;
  p = Fma(p, z, 2.00018790482477e-13f);
  p = Fma(p, z, -8.60467152213735e-11f);
  p = Fma(p, z, 5.12229709037114e-08f);
  p = Fma(p, z, 1.48572235717979e-05f);
  p = Fma(p, z, 6.37261928875436e-04f);
  p = Fma(p, z, 4.89352455891786e-03f);
  float q = 1.19825839466702e-06f;
  q = Fma(q, z, 1.18534705686654e-04f);
  q = Fma(q, z, 2.26843463243900e-03f);
  q = Fma(q, z, 4.89352518554385e-03f);
  return v * p / q;
}
BEAMLINE_MATH double Tanh(double x) { return std::tanh(x); }

// 1 / (1 + e^-x), within 3 ulp.
BEAMLINE_MATH float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }
BEAMLINE_MATH double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// log(1 + e^x) without overflow.
template <typename T>
BEAMLINE_MATH T Softplus(T x) {
  return Max(x, T(0)) + Log1p(Exp(-Abs(x)));
}

// Error function, absolute error below 5e-7: the rational approximation of Eigen.
BEAMLINE_MATH float Erf(float x) {
  float v = x > 4.0f ? 4.0f : x;
  v = v < -4.0f ? -4.0f : v;
  const float z = v * v;
  float p = -2.72614225801306e-10f;
  p = Fma(p, z, 2.77068142495902e-08f);
  p = Fma(p, z, -2.10102402082508e-06f);
  p = Fma(p, z, -5.69250639462346e-05f);
  p = Fma(p, z, -7.34990630326855e-04f);
  p = Fma(p, z, -2.95459980854025e-03f);
  p = Fma(p, z, -1.60960333262415e-02f);
  float q = -1.45660718464996e-05f;
  q = Fma(q, z, -2.13374055278905e-04f);
  q = Fma(q, z, -1.68282697438203e-03f);
  q = Fma(q, z, -7.37332916720468e-03f);
  q = Fma(q, z, -1.42647390514189e-02f);
  return v * p / q;
}
BEAMLINE_MATH double Erf(double x) { return std::erf(x); }

// cos(2 pi t) for t in [0, 1), within 4e-7 absolute. Taylor series on a quarter of the circle.
BEAMLINE_MATH float CosTurn(float t) {
  const float u = Abs(t - 0.5f);              // cos(2 pi t) = -cos(2 pi u), u in [0, 1/2]
  const float w = (0.25f - u) * 6.28318531f;  // -cos(2 pi u) = -sin(w), w in [-pi/2, pi/2]
  const float z = w * w;
  float p = -2.5052108e-8f;
  p = Fma(p, z, 2.7557319e-6f);
  p = Fma(p, z, -1.9841270e-4f);
  p = Fma(p, z, 8.3333333e-3f);
  p = Fma(p, z, -1.6666667e-1f);
  return -Fma(w * z, p, w);
}
// sin(2 pi t) for t in [0, 1).
BEAMLINE_MATH float SinTurn(float t) { return CosTurn(t < 0.25f ? t + 0.75f : t - 0.25f); }

}  // namespace beamline::engine::math
