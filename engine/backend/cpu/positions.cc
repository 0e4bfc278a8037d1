// Rotary positions, and lengths of padded rows.
#include "engine/backend/cpu/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void Rotary(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t steps = call.inputs[1].rows;
  const int64_t half = call.inputs[1].columns;
  const int64_t heads = call.attributes->heads;
  const float direction = call.attributes->inverse ? -1.0f : 1.0f;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 2, [&](int64_t row) {
    const float* __restrict x = In(call, 0) + row * columns;
    float* __restrict y = Out(call, 0) + row * columns;
    const float* cos = In(call, 1) + row % steps * half;
    const float* sin = In(call, 2) + row % steps * half;
    for (int64_t h = 0; h < heads; ++h, x += 2 * half, y += 2 * half) {
#pragma GCC ivdep
      for (int64_t i = 0; i < half; ++i) {
        const float s = direction * sin[i];
        const float x0 = x[2 * i];
        const float x1 = x[2 * i + 1];
        y[2 * i] = math::Fma(x0, cos[i], -(x1 * s));
        y[2 * i + 1] = math::Fma(x0, s, x1 * cos[i]);
      }
    }
    const int64_t left = columns - 2 * heads * half;
    __builtin_memcpy(y, x, static_cast<size_t>(left) * sizeof(float));
  });
}

void Lengths(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const int32_t* codes = static_cast<const int32_t*>(call.inputs[0].data) + row * columns;
    int64_t length = columns;
    while (length > 0 && codes[length - 1] < 0) --length;
    static_cast<int32_t*>(call.outputs[0].data)[row] = static_cast<int32_t>(length);
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
