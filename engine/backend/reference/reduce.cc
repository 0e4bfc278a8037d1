// Pooling over all positions.
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

// The position of the first maximum; of the last NaN if there is one.
template <typename T>
static int64_t Largest(const T* x, int64_t positions, int64_t channels) {
  int64_t best = 0;
  for (int64_t i = 1; i < positions; ++i) {
    const T value = x[i * channels];
    if (value > x[best * channels] || value != value) best = i;
  }
  return best;
}

template <typename T>
void Reduce(const KernelCall& call, const RunState&) {
  const int64_t channels = call.outputs[0].columns;
  const int64_t positions = call.inputs[0].rows / call.outputs[0].rows;
  for (int64_t b = 0; b < call.outputs[0].rows; ++b) {
    for (int64_t c = 0; c < channels; ++c) {
      const T* x = In<T>(call, 0) + b * positions * channels + c;
      T& y = Out<T>(call, 0)[b * channels + c];
      switch (call.attributes->reduction) {
        case Reduction::kMax:
          y = x[Largest(x, positions, channels) * channels];
          break;
        case Reduction::kLast:
          y = x[(positions - 1) * channels];
          break;
        default:
          y = 0;
          for (int64_t i = 0; i < positions; ++i) y += x[i * channels];
          if (call.attributes->reduction == Reduction::kMean) y /= static_cast<T>(positions);
      }
    }
  }
}
BEAMLINE_INSTANTIATE(Reduce)

template <typename T>
void ReduceGrad(const KernelCall& call, const RunState&) {
  const int64_t channels = call.inputs[0].columns;
  const int64_t positions = call.outputs[0].rows / call.inputs[0].rows;
  const Reduction reduction = call.attributes->reduction;
  for (int64_t b = 0; b < call.inputs[0].rows; ++b) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t first = b * positions * channels + c;
      const T dy = In<T>(call, 0)[b * channels + c];
      int64_t only = positions - 1;
      if (reduction == Reduction::kMax) only = Largest(In<T>(call, 1) + first, positions, channels);
      const bool all = reduction == Reduction::kMean || reduction == Reduction::kSum;
      const T each = reduction == Reduction::kMean ? dy / static_cast<T>(positions) : dy;
      for (int64_t i = 0; i < positions; ++i) {
        Out<T>(call, 0)[first + i * channels] = all || i == only ? each : T(0);
      }
    }
  }
}
BEAMLINE_INSTANTIATE(ReduceGrad)

}  // namespace beamline::engine::reference
