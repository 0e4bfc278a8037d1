// Layer normalisation.
#include "engine/backend/cpu/columns.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

using math::Fma;

// body(i) for all rows, some of them at a time.
template <typename Body>
static void ForRows(const RunState& run, int64_t rows, int64_t columns, const Body& body) {
  constexpr int64_t kPiece = 16;
  ForTiles(run, (rows + kPiece - 1) / kPiece, rows * columns * 4, [&](int64_t piece) {
    for (int64_t i = piece * kPiece; i < rows && i < (piece + 1) * kPiece; ++i) body(i);
  });
}

void LayerNorm(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(columns);
  const float* gamma = In(call, 1);
  const float* beta = In(call, 2);
  ForRows(run, call.inputs[0].rows, columns, [&](int64_t i) {
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
  ForRows(run, rows, columns, [&](int64_t i) {
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
  const int64_t chunks = ChunksOf(rows);
  float* sums = chunks == 1 ? nullptr : SharedScratch(run);
  ForChunks(run, rows, columns, 4, [&](const Chunk& chunk) {
    float* dgamma = chunks == 1 ? Out(call, 1) : sums + 2 * chunk.index * columns;
    float* dbeta = chunks == 1 ? Out(call, 2) : dgamma + columns;
    ForBlocksOf16(chunk.columns, [&](int64_t first, int64_t width) {
      first += chunk.column;
      float gamma_sum[16] = {};
      float beta_sum[16] = {};
      for (int64_t i = chunk.row; i < chunk.row + chunk.rows; ++i) {
        const float* dy = In(call, 0) + i * columns + first;
        const float* x = In(call, 1) + i * columns + first;
        const float mean = In(call, 3)[i];
        const float rstd = In(call, 4)[i];
        for (int64_t j = 0; j < width; ++j) {
          gamma_sum[j] = Fma(dy[j], (x[j] - mean) * rstd, gamma_sum[j]);
          beta_sum[j] += dy[j];
        }
      }
      for (int64_t j = 0; j < width; ++j) {
        dgamma[first + j] = gamma_sum[j];
        dbeta[first + j] = beta_sum[j];
      }
    });
  });
  if (chunks == 1) return;
  AddChunks(sums, chunks, 2 * columns, columns, Out(call, 1));
  AddChunks(sums + columns, chunks, 2 * columns, columns, Out(call, 2));
}

// With z = (x - mean) rstd, a = dy gamma, and P(v) = v - mean_j(v) - z mean_j(v z), so that the
// gradient is rstd P(a): by a it is rstd P(u), by z g = -rstd (u mean_j(a z) + a mean_j(u z)), and
// by rstd the sum of u P(a).
void LayerNormCurve(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<float>(columns);
  const float* gamma = In(call, 3);
  ForRows(run, call.inputs[0].rows, 2 * columns, [&](int64_t i) {
    const float* u = In(call, 0) + i * columns;
    const float* dy = In(call, 1) + i * columns;
    const float* x = In(call, 2) + i * columns;
    const float mean = In(call, 4)[i];
    const float rstd = In(call, 5)[i];
    const auto z = [&](int64_t j) { return (x[j] - mean) * rstd; };
    const auto a = [&](int64_t j) { return dy[j] * gamma[j]; };
    const float u_mean = LaneSum(columns, [&](int64_t j) { return u[j]; }) / count;
    const float a_mean = LaneSum(columns, [&](int64_t j) { return a(j); }) / count;
    const float uz = LaneSum(columns, [&](int64_t j) { return u[j] * z(j); }) / count;
    const float az = LaneSum(columns, [&](int64_t j) { return a(j) * z(j); }) / count;
    const float ua = LaneSum(columns, [&](int64_t j) { return u[j] * a(j); }) / count;
    const float by_rstd = ua - u_mean * a_mean - uz * az;  // over the columns
    const auto by_a = [&](int64_t j) { return rstd * (u[j] - u_mean - z(j) * uz); };
    Fill(Out(call, 0) + i * columns, 0, columns, [&](int64_t j) { return gamma[j] * by_a(j); });
    Fill(Out(call, 1) + i * columns, 0, columns, [&](int64_t j) {
      const float g = u[j] * az + a(j) * uz;
      const float centred = g - (u_mean * az + a_mean * uz) - z(j) * (2.0f * uz * az);
      return -rstd * rstd * (centred + z(j) * by_rstd);
    });
    Fill(Out(call, 2) + i * columns, 0, columns, [&](int64_t j) { return dy[j] * by_a(j); });
  });
}

Scratch LayerNormGradScratch(const KernelCall& call) {
  const int64_t chunks = ChunksOf(call.inputs[0].rows);
  if (chunks == 1) return {};
  return {2 * chunks * call.inputs[0].columns * static_cast<int64_t>(sizeof(float)), 0};
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
