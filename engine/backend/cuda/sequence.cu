// Ops that move rows in and out of sequences.
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

// Where the step stands that is done last in a row.
struct LastPosition {
  int64_t steps;
  bool reverse;
  const int32_t* lengths;

  BEAMLINE_DEVICE int64_t operator()(int64_t row) const {
    if (reverse) return 0;
    return (lengths != nullptr ? lengths[row] : steps) - 1;
  }
};

LastPosition LastPositionOf(const KernelCall& call, int64_t steps) {
  return {steps, call.attributes->reverse,
          call.attributes->has_lengths ? In<int32_t>(call, 1) : nullptr};
}

}  // namespace

void SequenceLast(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const int64_t columns = call.outputs[0].columns;
  const LastPosition last = LastPositionOf(call, call.inputs[0].extents[1]);
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    y[row * columns + j] = x[(row * last.steps + last(row)) * columns + j];
  });
}

void SequenceLastGrad(const KernelCall& call, const RunState& run) {
  const float* dy = In(call, 0);
  float* dx = Out(call, 0);
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  const LastPosition last = LastPositionOf(call, steps);
  Cells(run, call.inputs[0].rows * steps, columns, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const int64_t row = i / steps;
    dx[i * columns + j] = i % steps == last(row) ? dy[row * columns + j] : 0.0f;
  });
}

void Repeat(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const int64_t steps = call.outputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    y[i * columns + j] = x[i / steps * columns + j];
  });
}

// Each element is one chain over the steps in order.
void StepSum(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const int64_t steps = call.inputs[0].extents[1];
  const int64_t columns = call.outputs[0].columns;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const float* from = x + row * steps * columns + j;
    float sum = 0;
    for (int64_t step = 0; step < steps; ++step) sum += from[step * columns];
    y[row * columns + j] = sum;
  });
}

namespace {

// A square of a matrix [a, b], turned in the team's memory so that both sides are read and written
// in order.
struct TransposeTile {
  static constexpr int64_t kSide = 32;
  static constexpr int64_t kPitch = kSide + 1;  // other banks for each line
  static constexpr int64_t kBytes = kSide * kPitch * static_cast<int64_t>(sizeof(float));

  const float* x;
  float* y;
  int64_t a, b;

  static int64_t Count(int64_t n) { return (n + kSide - 1) / kSide; }

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const int64_t across = (b + kSide - 1) / kSide;
    const int64_t down = (a + kSide - 1) / kSide;
    const int64_t matrix = team.index() / (across * down);
    const int64_t k0 = team.index() / across % down * kSide;
    const int64_t j0 = team.index() % across * kSide;
    const float* from = x + matrix * a * b;
    float* to = y + matrix * a * b;
    float* tile = team.shared<float>();
    team.For(kSide * kSide, [&](int64_t i) {
      const int64_t k = i / kSide;
      const int64_t j = i % kSide;
      if (k0 + k < a && j0 + j < b) tile[k * kPitch + j] = from[(k0 + k) * b + j0 + j];
    });
    team.For(kSide * kSide, [&](int64_t i) {
      const int64_t j = i / kSide;
      const int64_t k = i % kSide;
      if (k0 + k < a && j0 + j < b) to[(j0 + j) * a + k0 + k] = tile[k * kPitch + j];
    });
  }
};

}  // namespace

void Transpose(const KernelCall& call, const RunState& run) {
  constexpr int64_t kThin = 8;
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const int64_t rows = call.inputs[0].extents[0];
  const int64_t a = call.inputs[0].extents[1];
  const int64_t b = call.inputs[0].extents[2];
  if (a > kThin && b > kThin) {
    const int64_t tiles = TransposeTile::Count(a) * TransposeTile::Count(b);
    return Teams<kBlock>(run, rows * tiles, TransposeTile::kBytes, TransposeTile{x, y, a, b});
  }
  Cells(run, rows * b, a, [=] BEAMLINE_LAMBDA(int64_t i, int64_t k) {
    y[i * a + k] = x[(i / b * a + k) * b + i % b];
  });
}

}  // namespace beamline::engine::cuda
