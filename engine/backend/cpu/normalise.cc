// Layer normalisation.
#include "engine/backend/cpu/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

using math::Fma;

static constexpr int64_t kBlock = 32;  // columns that are walked down together

// body(first, width) for blocks of columns.
template <typename Body>
static void ForColumns(const RunState& run, int64_t rows, int64_t columns, const Body& body) {
  ForTiles(run, (columns + kBlock - 1) / kBlock, rows * columns * 4, [&](int64_t block) {
    const int64_t first = block * kBlock;
    body(first, first + kBlock < columns ? kBlock : columns - first);
  });
}

void LayerNorm(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(columns);
  const float* gamma = In(call, 1);
  const float* beta = In(call, 2);
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 4, [&](int64_t i) {
    const float* x = In(call, 0) + i * columns;
    const float mean = LaneSum(columns, [&](int64_t j) { return x[j]; }) / count;
    const float squares =
        LaneSum(columns, [&](int64_t j) { return (x[j] - mean) * (x[j] - mean); });
    const float rstd =
        1.0f / math::Sqrt(squares / count + static_cast<float>(call.attributes->epsilon));
    Fill(Out(call, 0) + i * columns, 0, columns,
         [&](int64_t j) { return Fma((x[j] - mean) * rstd, gamma[j], beta[j]); });
    Out(call, 1)[i] = mean;
    Out(call, 2)[i] = rstd;
  });
}

// With z = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean_j(g) - z mean_j(g z)).
void LayerNormGrad(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(columns);
  const float* gamma = In(call, 2);
  ForTiles(run, rows, rows * columns * 4, [&](int64_t i) {
    const float* dy = In(call, 0) + i * columns;
    const float* x = In(call, 1) + i * columns;
    const float mean = In(call, 3)[i];
    const float rstd = In(call, 4)[i];
    const float sum = LaneSum(columns, [&](int64_t j) { return dy[j] * gamma[j]; }) / count;
    const float dot =
        LaneSum(columns, [&](int64_t j) { return dy[j] * gamma[j] * ((x[j] - mean) * rstd); }) /
        count;
    Fill(Out(call, 0) + i * columns, 0, columns, [&](int64_t j) {
      return rstd * Fma(-((x[j] - mean) * rstd), dot, dy[j] * gamma[j] - sum);
    });
  });
  ForColumns(run, rows, columns, [&](int64_t first, int64_t width) {
    float dgamma[kBlock] = {};
    float dbeta[kBlock] = {};
    for (int64_t i = 0; i < rows; ++i) {
      const float* dy = In(call, 0) + i * columns + first;
      const float* x = In(call, 1) + i * columns + first;
      const float mean = In(call, 3)[i];
      const float rstd = In(call, 4)[i];
      for (int64_t j = 0; j < width; ++j) {
        dgamma[j] = Fma(dy[j], (x[j] - mean) * rstd, dgamma[j]);
        dbeta[j] += dy[j];
      }
    }
    for (int64_t j = 0; j < width; ++j) {
      Out(call, 1)[first + j] = dgamma[j];
      Out(call, 2)[first + j] = dbeta[j];
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
