// Interpolated rows, the penalty of their gradients, and slopes of slopes. Formulas: Graph.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/functors.h"
#include "engine/core/philox.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// Element i is word i % 4 of Philox block (i / 4, stream, step).
void Uniform(const KernelCall& call, const RunState& run) {
  const float scale = In(call, 0)[0];
  float* y = Out(call, 0);
  const int64_t elements = call.outputs[0].elements;
  const auto stream = static_cast<uint32_t>(call.attributes->stream);
  ForRange(run, elements, 8, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += 4) {
      const PhiloxBlock block =
          Philox4x32(static_cast<uint32_t>(run.seed), static_cast<uint32_t>(run.seed >> 32),
                     static_cast<uint32_t>(first / 4), stream, static_cast<uint32_t>(run.step),
                     static_cast<uint32_t>(run.step >> 32));
      for (int64_t i = first; i < end && i < first + 4; ++i) {
        y[i] = scale * UniformFromBits(block.word[i - first]);
      }
    }
  });
}

void Interpolate(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements * 2, [&](int64_t row) {
    const float share = In(call, 2)[row];
    const float rest = 1.0f - share;
    const float* a = In(call, 0) + row * columns;
    const float* b = In(call, 1) + row * columns;
    Fill(Out(call, 0) + row * columns, 0, columns,
         [&](int64_t j) { return math::Fma(share, a[j], rest * b[j]); });
  });
}

void ActivationCurve(const KernelCall& call, const RunState& run) {
  const float* u = In(call, 0);
  const float* dy = In(call, 1);
  const float* saved = In(call, 2);
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    ForRange(run, call.outputs[0].elements, 8, [&](int64_t begin, int64_t end) {
      Fill(Out(call, 0), begin, end, [&](int64_t i) {
        return u[i] * dy[i] * functors::Curve<decltype(tag)::kActivation>(saved[i]);
      });
    });
  });
}

void GradientPenalty(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  ForTiles(run, rows, call.inputs[0].elements * 2, [&](int64_t row) {
    const float* g = In(call, 0) + row * columns;
    Out(call, 1)[row] = math::Sqrt(LaneSum(columns, [&](int64_t j) { return g[j] * g[j]; }));
  });
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const float beyond = Out(call, 1)[i] - 1.0f;
    loss += static_cast<double>(beyond * beyond);
  }
  Out(call, 0)[0] = static_cast<float>(rows > 0 ? loss / static_cast<double>(rows) : 0);
}

void GradientPenaltyGrad(const KernelCall& call, const RunState& run) {
  const float upstream = call.attributes->has_scale ? In(call, 2)[0] : 1.0f;
  const int64_t columns = call.inputs[0].columns;
  const float share = 2.0f * upstream / static_cast<float>(call.inputs[0].rows);
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 2, [&](int64_t row) {
    const float length = In(call, 1)[row];
    const float scale = length > 0.0f ? share * ((length - 1.0f) / length) : 0.0f;
    const float* g = In(call, 0) + row * columns;
    Fill(Out(call, 0) + row * columns, 0, columns, [&](int64_t j) { return scale * g[j]; });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
