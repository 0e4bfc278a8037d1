// Elementary functions in double, made of + - * / and square roots only, so that they give the same
// bits with every libm and on every IEEE 754 machine (compiled with -ffp-contract=off). Relative
// error below 1e-14 in the ranges that are named.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace beamline::collisions {

inline constexpr double kPi = 3.141592653589793;

// |x| <= 700. Cody and Waite's reduction, then the Taylor series on |r| <= 0.35.
inline double Exp(double x) {
  const double n = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double sum = 1.0;
  for (int k = 13; k >= 1; --k) sum = 1.0 + r * sum / k;
  const uint64_t bits = static_cast<uint64_t>(static_cast<int64_t>(n) + 1023) << 52;
  double scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return sum * scale;
}

// Normal x > 0: log x = n log 2 + 2 atanh((m - 1) / (m + 1)) with m in [sqrt(1/2), sqrt(2)).
inline double Log(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  int64_t n = static_cast<int64_t>(bits >> 52) - 1023;
  bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
  double m;
  std::memcpy(&m, &bits, sizeof m);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++n;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double s2 = s * s;
  double sum = 0.0;
  for (int k = 21; k >= 1; k -= 2) sum = 1.0 / k + s2 * sum;
  return static_cast<double>(n) * 0.6931471805599453 + 2.0 * s * sum;
}

struct SinCos {
  double sin;
  double cos;
};

// |x| <= 1000; absolute error.
inline SinCos SinCosOf(double x) {
  const double n = std::floor(x * 0.6366197723675814 + 0.5);
  const double r = (x - n * 1.57079632673412561417e+00) - n * 6.07710050650619224932e-11;
  const double r2 = r * r;
  double sine = 1.0;
  for (int k = 8; k >= 1; --k) sine = 1.0 - r2 * sine / ((2 * k) * (2 * k + 1));
  sine *= r;
  double cosine = 1.0;
  for (int k = 9; k >= 1; --k) cosine = 1.0 - r2 * cosine / ((2 * k - 1) * (2 * k));
  switch (static_cast<int64_t>(n) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

// In (-pi, pi]; not both arguments 0. The angle is halved three times, then the series.
inline double Atan2(double y, double x) {
  const double ay = std::fabs(y);
  const double ax = std::fabs(x);
  double t = ay < ax ? ay / ax : ax / ay;
  for (int i = 0; i < 3; ++i) t = t / (1.0 + std::sqrt(1.0 + t * t));
  const double t2 = t * t;
  double sum = 0.0;
  for (int k = 17; k >= 1; k -= 2) sum = 1.0 / k - t2 * sum;
  double angle = 8.0 * t * sum;
  if (ay >= ax) angle = 0.5 * kPi - angle;
  if (x < 0.0) angle = kPi - angle;
  return y < 0.0 ? -angle : angle;
}

inline double Asinh(double x) {
  const double a = std::fabs(x);
  // Below, log(1 + a) would lose digits: two terms of the series are enough.
  const double value = a < 1e-4 ? a - a * a * a / 6.0 : Log(a + std::sqrt(a * a + 1.0));
  return x < 0.0 ? -value : value;
}

inline double Cosh(double x) {
  const double e = Exp(std::fabs(x));
  return 0.5 * (e + 1.0 / e);
}

inline double Sinh(double x) {
  const double e = Exp(std::fabs(x));
  const double a = std::fabs(x);
  const double value = a < 1e-3 ? a + a * a * a / 6.0 : 0.5 * (e - 1.0 / e);
  return x < 0.0 ? -value : value;
}

}  // namespace beamline::collisions
