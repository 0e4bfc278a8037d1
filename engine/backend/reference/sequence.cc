// Ops that move rows in and out of sequences.
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

// The position of the step that is done last in row r.
int64_t LastPosition(const KernelCall& call, int64_t steps, int64_t r) {
  if (call.attributes->reverse) return 0;
  return (call.attributes->has_lengths ? In<int32_t>(call, 1)[r] : steps) - 1;
}

}  // namespace

template <typename T>
void SequenceLast(const KernelCall& call, const RunState&) {
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  for (int64_t r = 0; r < call.outputs[0].rows; ++r) {
    const int64_t at = r * steps + LastPosition(call, steps, r);
    for (int64_t j = 0; j < columns; ++j) {
      Out<T>(call, 0)[r * columns + j] = In<T>(call, 0)[at * columns + j];
    }
  }
}
BEAMLINE_INSTANTIATE(SequenceLast)

template <typename T>
void SequenceLastGrad(const KernelCall& call, const RunState&) {
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  for (int64_t r = 0; r < call.inputs[0].rows; ++r) {
    const int64_t last = LastPosition(call, steps, r);
    for (int64_t p = 0; p < steps; ++p) {
      for (int64_t j = 0; j < columns; ++j) {
        Out<T>(call, 0)[(r * steps + p) * columns + j] =
            p == last ? In<T>(call, 0)[r * columns + j] : T(0);
      }
    }
  }
}
BEAMLINE_INSTANTIATE(SequenceLastGrad)

template <typename T>
void Repeat(const KernelCall& call, const RunState&) {
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    Out<T>(call, 0)[i] = In<T>(call, 0)[i / (steps * columns) * columns + i % columns];
  }
}
BEAMLINE_INSTANTIATE(Repeat)

// Each element is one chain over the steps in order.
template <typename T>
void StepSum(const KernelCall& call, const RunState&) {
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  for (int64_t r = 0; r < call.outputs[0].rows; ++r) {
    for (int64_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (int64_t p = 0; p < steps; ++p) sum += In<T>(call, 0)[(r * steps + p) * columns + j];
      Out<T>(call, 0)[r * columns + j] = sum;
    }
  }
}
BEAMLINE_INSTANTIATE(StepSum)

template <typename T>
void Transpose(const KernelCall& call, const RunState&) {
  const int64_t a = call.inputs[0].extents[1];
  const int64_t b = call.inputs[0].extents[2];
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const int64_t row = i / (a * b), j = i / a % b, k = i % a;
    Out<T>(call, 0)[i] = In<T>(call, 0)[(row * a + k) * b + j];
  }
}
BEAMLINE_INSTANTIATE(Transpose)

}  // namespace beamline::engine::reference
