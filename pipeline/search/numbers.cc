#include "pipeline/search/numbers.h"

#include <charconv>
#include <cmath>
#include <limits>

namespace beamline::pipeline::search {
namespace {

// ln 2 in two parts; the first has 32 trailing zero bits, so that its small multiples are exact.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kLog2E = 1.44269504088896338700e+00;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <size_t N>
double Horner(const double (&coefficients)[N], double x) {
  double sum = coefficients[0];
  for (size_t i = 1; i < N; ++i) sum = std::fma(sum, x, coefficients[i]);
  return sum;
}

// FNV-1a, 64 bits.
uint64_t StreamOf(std::string_view key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const std::string_view part : {std::string_view("search "), key}) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

double Exp(double x) {
  if (x != x) return x;
  if (x > 709.7) return kInfinity;
  if (x < -745) return 0;
  const double n = std::floor(std::fma(x, kLog2E, 0.5));
  const double r = std::fma(-n, kLn2Low, std::fma(-n, kLn2High, x));
  double term = 1;
  for (int i = 14; i >= 1; --i) term = std::fma(term, r / i, 1.0);  // Taylor's series
  return std::ldexp(term, static_cast<int>(n));
}

double Log(double x) {
  if (x != x || x < 0) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --exponent;
  }
  const double s = (m - 1) / (m + 1);  // log m = 2 artanh s, |s| < 0.172
  const double z = s * s;
  double sum = 1.0 / 25;
  for (int i = 23; i >= 1; i -= 2) sum = std::fma(sum, z, 1.0 / i);
  const double low = std::fma(2 * s, sum, exponent * kLn2Low);
  return std::fma(exponent, kLn2High, low);
}

double NormalCdf(double x) {
  constexpr double kNumerator[] = {3.52624965998911e-02, 0.700383064443688, 6.37396220353165,
                                   33.912866078383,      112.079291497871,  221.213596169931,
                                   220.206867912376};
  constexpr double kDenominator[] = {8.83883476483184e-02, 1.75566716318264, 16.064177579207,
                                     86.7807322029461,     296.564248779674, 637.333633378831,
                                     793.826512519948,     440.413735824752};
  const double a = std::fabs(x);
  if (a > 37) return x > 0 ? 1 : 0;
  const double e = Exp(-a * a / 2);
  double tail = 0;
  if (a < 7.07106781186547) {
    tail = e * Horner(kNumerator, a) / Horner(kDenominator, a);
  } else {
    double fraction = a + 0.65;
    for (int i = 4; i >= 1; --i) fraction = a + i / fraction;
    tail = e / fraction / 2.506628274631;
  }
  return x > 0 ? 1 - tail : tail;
}

double NormalQuantile(double p) {
  constexpr double kA[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                           1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double kB[] = {-5.447609879822406e+01, 1.615858368580409e+02,  -1.556989798598866e+02,
                           6.680131188771972e+01,  -1.328068155288572e+01, 1.0};
  constexpr double kC[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                           -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double kD[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                           3.754408661907416e+00, 1.0};
  constexpr double kTail = 0.02425;
  constexpr double kLeast = 6.220960574271785e-16;  // NormalCdf(-8)
  if (p < kLeast) return -8;
  if (p > 1 - kTail) return 1 - p < kLeast ? 8 : -NormalQuantile(1 - p);
  if (p < kTail) {
    const double q = std::sqrt(-2 * Log(p));
    return Horner(kC, q) / Horner(kD, q);
  }
  const double q = p - 0.5;
  const double r = q * q;
  return q * Horner(kA, r) / Horner(kB, r);
}

double Tidy(double x) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, x, std::chars_format::general, 12).ptr;
  double tidy = x;
  std::from_chars(text, end, tidy);
  return tidy;
}

Draws::Draws(uint64_t seed, std::string_view key) : philox_(seed, StreamOf(key)) {}

double Draws::Uniform(int trial, int draw) const {
  const uint64_t counter = static_cast<uint64_t>(trial) << 16 | static_cast<uint64_t>(draw);
  return static_cast<double>(philox_.Bits(counter) >> 11) * 0x1p-53;
}

uint32_t Draws::Word(int trial, int draw) const {
  const uint64_t counter = static_cast<uint64_t>(trial) << 16 | static_cast<uint64_t>(draw);
  return philox_.Block(counter).word[0];
}

}  // namespace beamline::pipeline::search
