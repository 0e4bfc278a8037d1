// Interpolated rows, the penalty of their gradients, and slopes of slopes. Formulas: Graph.
#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/philox.h"

namespace beamline::engine::reference {

// Element i is word i % 4 of Philox block (i / 4, stream, step).
template <typename T>
void Uniform(const KernelCall& call, const RunState& run) {
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const PhiloxBlock block =
        Philox4x32(static_cast<uint32_t>(run.seed), static_cast<uint32_t>(run.seed >> 32),
                   static_cast<uint32_t>(i / 4), static_cast<uint32_t>(call.attributes->stream),
                   static_cast<uint32_t>(run.step), static_cast<uint32_t>(run.step >> 32));
    Out<T>(call, 0)[i] = In<T>(call, 0)[0] * static_cast<T>(UniformFromBits(block.word[i % 4]));
  }
}
BEAMLINE_INSTANTIATE(Uniform)

template <typename T>
void Interpolate(const KernelCall& call, const RunState&) {
  const int64_t columns = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const T share = In<T>(call, 2)[i / columns];
    Out<T>(call, 0)[i] = math::Fma(share, In<T>(call, 0)[i], (T(1) - share) * In<T>(call, 1)[i]);
  }
}
BEAMLINE_INSTANTIATE(Interpolate)

template <typename T>
void ActivationCurve(const KernelCall& call, const RunState&) {
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
      Out<T>(call, 0)[i] = In<T>(call, 0)[i] * In<T>(call, 1)[i] *
                           functors::Curve<decltype(tag)::kActivation>(In<T>(call, 2)[i]);
    }
  });
}
BEAMLINE_INSTANTIATE(ActivationCurve)

template <typename T>
void GradientPenalty(const KernelCall& call, const RunState&) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    T squares = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const T g = In<T>(call, 0)[i * columns + j];
      squares += g * g;
    }
    const T length = math::Sqrt(squares);
    Out<T>(call, 1)[i] = length;
    loss += static_cast<double>((length - T(1)) * (length - T(1)));
  }
  Out<T>(call, 0)[0] = static_cast<T>(rows > 0 ? loss / static_cast<double>(rows) : 0);
}
BEAMLINE_INSTANTIATE(GradientPenalty)

template <typename T>
void GradientPenaltyGrad(const KernelCall& call, const RunState&) {
  const T upstream = call.attributes->has_scale ? In<T>(call, 2)[0] : T(1);
  const int64_t columns = call.inputs[0].columns;
  const T share = T(2) * upstream / static_cast<T>(call.inputs[0].rows);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const T length = In<T>(call, 1)[i / columns];
    const T scale = length > T(0) ? share * ((length - T(1)) / length) : T(0);
    Out<T>(call, 0)[i] = scale * In<T>(call, 0)[i];
  }
}
BEAMLINE_INSTANTIATE(GradientPenaltyGrad)

}  // namespace beamline::engine::reference
