// A step of random recurrent networks, for kLanes rows at once.
#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void AddHeard(const float* weights, const int64_t* sources, int64_t units, int64_t fan_in,
              const float* x, float* sums) {
  for (int64_t unit = 0; unit < units; ++unit, sums += kLanes) {
    float sum[kLanes];
    for (int64_t lane = 0; lane < kLanes; ++lane) sum[lane] = sums[lane];
    for (int64_t k = 0; k < fan_in; ++k, ++weights, ++sources) {
      const float weight = *weights;
      const float* from = x + *sources * kLanes;
#pragma GCC ivdep
      for (int64_t lane = 0; lane < kLanes; ++lane) sum[lane] += weight * from[lane];
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] = sum[lane];
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
