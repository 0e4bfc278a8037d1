// Interpolated rows, the penalty of their gradients, and slopes of slopes. Formulas: Graph.
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/random.h"
#include "engine/backend/cuda/rows.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cuda {

// Element i is word i % 4 of Philox block (i / 4, stream, step).
void Uniform(const KernelCall& call, const RunState& run) {
  const float* scale = In(call, 0);
  float* y = Out(call, 0);
  const int64_t elements = call.outputs[0].elements;
  Draw(run, elements, call.attributes->stream,
       [=] BEAMLINE_LAMBDA(int64_t block, const PhiloxBlock& drawn) {
         for (int word = 0; word < 4; ++word) {
           const int64_t i = 4 * block + word;
           if (i < elements) y[i] = *scale * UniformFromBits(drawn.word[word]);
         }
       });
}

void Interpolate(const KernelCall& call, const RunState& run) {
  const float* a = In(call, 0);
  const float* b = In(call, 1);
  const float* shares = In(call, 2);
  float* y = Out(call, 0);
  const int64_t columns = call.outputs[0].columns;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const int64_t i = row * columns + j;
    const float share = shares[row];
    y[i] = math::Fma(share, a[i], (1.0f - share) * b[i]);
  });
}

void ActivationCurve(const KernelCall& call, const RunState& run) {
  const float* u = In(call, 0);
  const float* dy = In(call, 1);
  const float* saved = In(call, 2);
  float* dx = Out(call, 0);
  const Activation kind = call.attributes->activation;
  Each(run, call.outputs[0].elements, [=] BEAMLINE_LAMBDA(int64_t i) {
    float curve = 0;
    functors::ForActivation(
        kind, [&](auto tag) { curve = functors::Curve<decltype(tag)::kActivation>(saved[i]); });
    dx[i] = u[i] * dy[i] * curve;
  });
}

namespace {

struct GradientLength {
  const float* g;
  float* lengths;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* from = g + row * columns;
    const float squares =
        group.template Sum<float>(columns, [&](int64_t j) { return from[j] * from[j]; });
    group.Once([&] { lengths[row] = math::Sqrt(squares); });
  }
};

}  // namespace

Scratch GradientPenaltyScratch(const KernelCall&) { return {}; }

void GradientPenalty(const KernelCall& call, const RunState& run) {
  float* loss = Out(call, 0);
  float* lengths = Out(call, 1);
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  RowsThenTotal(run, rows, columns, GradientLength{In(call, 0), lengths, columns},
                [=] BEAMLINE_LAMBDA(Team<kTotal> & team) {
                  const double sum = team.Sum<double>(rows, [&](int64_t row) {
                    const float beyond = lengths[row] - 1.0f;
                    return static_cast<double>(beyond * beyond);
                  });
                  team.Once([&] {
                    *loss = static_cast<float>(rows > 0 ? sum / static_cast<double>(rows) : 0);
                  });
                });
}

void GradientPenaltyGrad(const KernelCall& call, const RunState& run) {
  const float* g = In(call, 0);
  const float* lengths = In(call, 1);
  const float* upstream = call.attributes->has_scale ? In(call, 2) : nullptr;
  float* dg = Out(call, 0);
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  Cells(run, rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const float from = upstream != nullptr ? *upstream : 1.0f;
    const float share = 2.0f * from / static_cast<float>(rows);
    const float length = lengths[row];
    const float scale = length > 0.0f ? share * ((length - 1.0f) / length) : 0.0f;
    dg[row * columns + j] = scale * g[row * columns + j];
  });
}

}  // namespace beamline::engine::cuda
