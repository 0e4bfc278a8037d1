// Elementary functions in double, the same bits on every machine: sums, products, quotients, square
// roots and fused multiply-adds only, which IEEE 754 rounds in one way. libm's differ in last bits.
// Must be compiled with -ffp-contract=off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/core/philox.h"

namespace beamline::pipeline::search {

// e^x, within 4 ulp. 0 below -745, infinity above 709.7. NaN for NaN.
double Exp(double x);
// Natural logarithm, within 4 ulp. -infinity for 0, NaN for x < 0.
double Log(double x);

// The standard normal distribution function, absolute error below 1e-14 (Hart 1968, algorithm 5666,
// as West, "Better approximations to cumulative normal functions", 2005, gives it).
double NormalCdf(double x);
// Its inverse for p in (0, 1), relative error below 2e-9 (Acklam 2003). Saturates at +-8.
double NormalQuantile(double p);

// The nearest number with twelve significant digits: pleasant to read.
double Tidy(double x);

// Random numbers of a key of the space, each of (seed, key, trial, draw) and of nothing else: a
// search keeps the draws of a key when another key is added.
class Draws {
 public:
  Draws(uint64_t seed, std::string_view key);
  // Uniform in [0, 1), 53 bits. `draw` < 2^16.
  double Uniform(int trial, int draw) const;
  // 32 random bits.
  uint32_t Word(int trial, int draw) const;

 private:
  engine::Philox philox_;
};

}  // namespace beamline::pipeline::search
