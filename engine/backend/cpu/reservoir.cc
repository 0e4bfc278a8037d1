// Steps of random recurrent networks and of mean fields, for kLanes rows at once.
#include <cstring>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/backend/cpu/vector.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void AddHeard(const float* weights, const int64_t* sources, int64_t units, int64_t fan_in,
              const float* x, float* sums) {
  constexpr int kVectors = kLanes / Vector::kWidth;
  for (int64_t unit = 0; unit < units; ++unit, sums += kLanes) {
    Vector sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = Load(sums + v * Vector::kWidth);
    for (int64_t k = 0; k < fan_in; ++k, ++weights, ++sources) {
      const Vector weight = Broadcast(*weights);
      const float* from = x + *sources * kLanes;
      for (int v = 0; v < kVectors; ++v) {
        sum[v] = Plus(sum[v], Times(weight, Load(from + v * Vector::kWidth)));
      }
    }
    for (int v = 0; v < kVectors; ++v) Store(sums + v * Vector::kWidth, sum[v]);
  }
}

void AddScaledLanes(const float* weights, int64_t count, const double* x, double* sums) {
  using Doubles __attribute__((vector_size(kLanes / 2 * sizeof(double)))) = double;
  Doubles low, high, a, b;
  std::memcpy(&low, sums, sizeof(low));
  std::memcpy(&high, sums + kLanes / 2, sizeof(high));
  for (int64_t k = 0; k < count; ++k, x += kLanes) {
    const auto weight = static_cast<double>(weights[k]);
    std::memcpy(&a, x, sizeof(a));
    std::memcpy(&b, x + kLanes / 2, sizeof(b));
    low += weight * a;
    high += weight * b;
  }
  std::memcpy(sums, &low, sizeof(low));
  std::memcpy(sums + kLanes / 2, &high, sizeof(high));
}

void Sigmoids(const double* x, int64_t size, float* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) y[i] = math::Sigmoid(static_cast<float>(x[i]));
}

// Range reduction by Cody and Waite, and Taylor's series: |r| is below 0.35.
void Exps(double scale, int64_t size, double* x) {
  constexpr double kMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) {
    double value = scale * x[i];
    value = value < -708 ? -708 : value;
    value = value > 709 ? 709 : value;
    const double shifted = value * 1.4426950408889634 + kMagic;
    const double n = shifted - kMagic;
    const double r = (value - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
    double p = 1.0 / 6227020800;
    p = p * r + 1.0 / 479001600;
    p = p * r + 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r * r + r + 1;
    int64_t bits, power;
    __builtin_memcpy(&bits, &p, sizeof(bits));
    __builtin_memcpy(&power, &shifted, sizeof(power));
    bits += power << 52;
    __builtin_memcpy(&x[i], &bits, sizeof(bits));
  }
}

void Leak(const float* sums, float leak, int64_t size, float* x) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) x[i] = (1 - leak) * x[i] + leak * math::Tanh(sums[i]);
}

void Fire(const float* sums, float kept, float traced, int64_t size, float* v, float* spikes,
          float* trace) {
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) {
    const float potential = v[i] * kept + sums[i];
    spikes[i] = potential >= 1 ? 1.0f : 0.0f;
    v[i] = potential >= 1 ? 0.0f : potential;
    trace[i] = trace[i] * traced + (1 - traced) * spikes[i];
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
