// Ops that move rows in and out of sequences.
#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// The position of the step that is done last in row r.
int64_t LastPosition(const KernelCall& call, int64_t steps, int64_t r) {
  if (call.attributes->reverse) return 0;
  if (!call.attributes->has_lengths) return steps - 1;
  return static_cast<const int32_t*>(call.inputs[1].data)[r] - 1;
}

}  // namespace

void SequenceLast(const KernelCall& call, const RunState&) {
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  for (int64_t r = 0; r < call.outputs[0].rows; ++r) {
    const int64_t at = r * steps + LastPosition(call, steps, r);
    __builtin_memcpy(Out(call, 0) + r * columns, In(call, 0) + at * columns,
                     static_cast<size_t>(columns) * sizeof(float));
  }
}

void SequenceLastGrad(const KernelCall& call, const RunState& run) {
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.outputs[0].elements, [&](int64_t r) {
    float* to = Out(call, 0) + r * steps * columns;
    __builtin_memset(to, 0, static_cast<size_t>(steps * columns) * sizeof(float));
    __builtin_memcpy(to + LastPosition(call, steps, r) * columns, In(call, 0) + r * columns,
                     static_cast<size_t>(columns) * sizeof(float));
  });
}

void Repeat(const KernelCall& call, const RunState& run) {
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.outputs[0].elements, [&](int64_t r) {
    for (int64_t p = 0; p < steps; ++p) {
      __builtin_memcpy(Out(call, 0) + (r * steps + p) * columns, In(call, 0) + r * columns,
                       static_cast<size_t>(columns) * sizeof(float));
    }
  });
}

// Each element is one chain over the steps in order.
void StepSum(const KernelCall& call, const RunState& run) {
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.inputs[0].elements, [&](int64_t r) {
    const float* x = In(call, 0) + r * steps * columns;
    float* y = Out(call, 0) + r * columns;
    Fill(y, 0, columns, [](int64_t) { return 0.0f; });
    for (int64_t p = 0; p < steps; ++p) {
      Fill(y, 0, columns, [&](int64_t j) { return y[j] + x[p * columns + j]; });
    }
  });
}

// In tiles that stay in the first-level cache both ways.
void Transpose(const KernelCall& call, const RunState& run) {
  constexpr int64_t kTile = 16;
  const int64_t a = call.inputs[0].extents[1];
  const int64_t b = call.inputs[0].extents[2];
  ForTiles(run, call.outputs[0].extents[0], call.outputs[0].elements, [&](int64_t r) {
    const float* x = In(call, 0) + r * a * b;
    float* y = Out(call, 0) + r * a * b;
    for (int64_t i0 = 0; i0 < a; i0 += kTile) {
      for (int64_t j0 = 0; j0 < b; j0 += kTile) {
        const int64_t i1 = i0 + kTile < a ? i0 + kTile : a;
        const int64_t j1 = j0 + kTile < b ? j0 + kTile : b;
        for (int64_t j = j0; j < j1; ++j) {
          for (int64_t i = i0; i < i1; ++i) y[j * a + i] = x[i * b + j];
        }
      }
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
