// Pooling over all positions. Channels are worked on side by side; each is one chain over the
// positions in order.
#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void Reduce(const KernelCall& call, const RunState& run) {
  const int64_t channels = call.outputs[0].columns;
  const int64_t positions = call.inputs[0].rows / call.outputs[0].rows;
  const Reduction reduction = call.attributes->reduction;
  const auto count = static_cast<float>(positions);
  ForTiles(run, call.outputs[0].rows, call.inputs[0].elements, [&](int64_t b) {
    const float* x = In(call, 0) + b * positions * channels;
    float* y = Out(call, 0) + b * channels;
    const float* first = reduction == Reduction::kLast ? x + (positions - 1) * channels : x;
    if (reduction == Reduction::kMax || reduction == Reduction::kLast) {
      Fill(y, 0, channels, [&](int64_t c) { return first[c]; });
    } else {
      Fill(y, 0, channels, [](int64_t) { return 0.0f; });
    }
    if (reduction == Reduction::kLast) return;
    for (int64_t i = 0; i < positions; ++i) {
      const float* from = x + i * channels;
      if (reduction == Reduction::kMax) {
        Fill(y, 0, channels,
             [&](int64_t c) { return from[c] > y[c] || from[c] != from[c] ? from[c] : y[c]; });
      } else {
        Fill(y, 0, channels, [&](int64_t c) { return y[c] + from[c]; });
      }
    }
    if (reduction == Reduction::kMean) {
      Fill(y, 0, channels, [&](int64_t c) { return y[c] / count; });
    }
  });
}

// dx of the first maximum of each channel; of the last NaN if there is one.
static void ScatterMax(const float* x, const float* dy, int64_t positions, int64_t channels,
                       float* dx) {
  Fill(dx, 0, positions * channels, [](int64_t) { return 0.0f; });
  for (int64_t c = 0; c < channels; ++c) {
    int64_t best = 0;
    for (int64_t i = 1; i < positions; ++i) {
      const float value = x[i * channels + c];
      if (value > x[best * channels + c] || value != value) best = i;
    }
    dx[best * channels + c] = dy[c];
  }
}

void ReduceGrad(const KernelCall& call, const RunState& run) {
  const int64_t channels = call.inputs[0].columns;
  const int64_t positions = call.outputs[0].rows / call.inputs[0].rows;
  const Reduction reduction = call.attributes->reduction;
  const auto count = static_cast<float>(positions);
  ForTiles(run, call.inputs[0].rows, call.outputs[0].elements * 2, [&](int64_t b) {
    const float* dy = In(call, 0) + b * channels;
    float* dx = Out(call, 0) + b * positions * channels;
    if (reduction == Reduction::kMax) {
      ScatterMax(In(call, 1) + b * positions * channels, dy, positions, channels, dx);
      return;
    }
    for (int64_t i = 0; i < positions; ++i) {
      float* to = dx + i * channels;
      if (reduction == Reduction::kMean) {
        Fill(to, 0, channels, [&](int64_t c) { return dy[c] / count; });
      } else if (reduction == Reduction::kSum || i == positions - 1) {
        Fill(to, 0, channels, [&](int64_t c) { return dy[c]; });
      } else {
        Fill(to, 0, channels, [](int64_t) { return 0.0f; });
      }
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
