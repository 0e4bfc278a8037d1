// Layer normalisation.
#include "engine/backend/cuda/columns.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

struct LayerNormRow {
  const float* x;
  const float* gamma;
  const float* beta;
  float* y;
  float* mean;
  float* rstd;
  int64_t columns;
  float epsilon;

  template <int kLanes>
  BEAMLINE_DEVICE void operator()(Team<kLanes>& team) const {
    const float* from = x + team.index() * columns;
    float* to = y + team.index() * columns;
    const auto count = static_cast<float>(columns);
    const float middle =
        team.template Sum<float>(columns, [&](int64_t j) { return from[j]; }) / count;
    const float squares = team.template Sum<float>(columns, [&](int64_t j) {
      const float d = from[j] - middle;
      return d * d;
    });
    const float scale = 1.0f / math::Sqrt(squares / count + epsilon);
    team.For(columns,
             [&](int64_t j) { to[j] = math::Fma((from[j] - middle) * scale, gamma[j], beta[j]); });
    team.Once([&] {
      mean[team.index()] = middle;
      rstd[team.index()] = scale;
    });
  }
};

// With z = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean_j(g) - z mean_j(g z)).
struct LayerNormGradRow {
  const float* dy;
  const float* x;
  const float* gamma;
  const float* mean;
  const float* rstd;
  float* dx;
  int64_t columns;

  template <int kLanes>
  BEAMLINE_DEVICE void operator()(Team<kLanes>& team) const {
    const int64_t first = team.index() * columns;
    const float middle = mean[team.index()];
    const float scale = rstd[team.index()];
    const auto count = static_cast<float>(columns);
    const float sum =
        team.template Sum<float>(columns, [&](int64_t j) { return dy[first + j] * gamma[j]; });
    const float dot = team.template Sum<float>(columns, [&](int64_t j) {
      return dy[first + j] * gamma[j] * ((x[first + j] - middle) * scale);
    });
    team.For(columns, [&](int64_t j) {
      const float z = (x[first + j] - middle) * scale;
      const float centred = dy[first + j] * gamma[j] - sum / count;
      dx[first + j] = scale * math::Fma(-z, dot / count, centred);
    });
  }
};

// With z = (x - mean) rstd, a = dy gamma, and P(v) = v - mean_j(v) - z mean_j(v z), so that the
// gradient is rstd P(a): by a it is rstd P(u), by z g = -rstd (u mean_j(a z) + a mean_j(u z)), and
// by rstd the sum of u P(a).
struct LayerNormCurveRow {
  const float* u;
  const float* dy;
  const float* x;
  const float* gamma;
  const float* mean;
  const float* rstd;
  float* by_dy;
  float* by_x;
  float* by_gamma;
  int64_t columns;

  template <int kLanes>
  BEAMLINE_DEVICE void operator()(Team<kLanes>& team) const {
    const int64_t first = team.index() * columns;
    const float middle = mean[team.index()];
    const float scale = rstd[team.index()];
    const auto count = static_cast<float>(columns);
    const auto z = [&](int64_t j) { return (x[first + j] - middle) * scale; };
    const auto a = [&](int64_t j) { return dy[first + j] * gamma[j]; };
    const float u_mean =
        team.template Sum<float>(columns, [&](int64_t j) { return u[first + j] / count; });
    const float a_mean = team.template Sum<float>(columns, [&](int64_t j) { return a(j) / count; });
    const float uz =
        team.template Sum<float>(columns, [&](int64_t j) { return u[first + j] * z(j) / count; });
    const float az =
        team.template Sum<float>(columns, [&](int64_t j) { return a(j) * z(j) / count; });
    const float ua =
        team.template Sum<float>(columns, [&](int64_t j) { return u[first + j] * a(j) / count; });
    const float by_rstd = ua - u_mean * a_mean - uz * az;  // over the columns
    team.For(columns, [&](int64_t j) {
      const float by_a = scale * (u[first + j] - u_mean - z(j) * uz);
      const float g = u[first + j] * az + a(j) * uz;
      const float g_centred = g - (u_mean * az + a_mean * uz) - z(j) * (2.0f * uz * az);
      const float slope = dy[first + j];
      by_x[first + j] = -scale * scale * (g_centred + z(j) * by_rstd);
      by_dy[first + j] = gamma[j] * by_a;
      by_gamma[first + j] = slope * by_a;
    });
  }
};

}  // namespace

void LayerNorm(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  Rows(run, call.inputs[0].rows, columns,
       LayerNormRow{In(call, 0), In(call, 1), In(call, 2), Out(call, 0), Out(call, 1), Out(call, 2),
                    columns, static_cast<float>(call.attributes->epsilon)});
}

Scratch LayerNormGradScratch(const KernelCall& call) {
  return ColumnSumsScratch(call.inputs[0].rows, call.inputs[0].columns, 2);
}

void LayerNormGrad(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  const float* mean = In(call, 3);
  const float* rstd = In(call, 4);
  float* dgamma = Out(call, 1);
  float* dbeta = Out(call, 2);
  Rows(run, rows, columns, LayerNormGradRow{dy, x, In(call, 2), mean, rstd, Out(call, 0), columns});
  ColumnSums<2>(
      run, rows, columns,
      [=] BEAMLINE_LAMBDA(int64_t i, int64_t j, float* values) {
        const float slope = dy[i * columns + j];
        values[0] = slope * ((x[i * columns + j] - mean[i]) * rstd[i]);
        values[1] = slope;
      },
      [=] BEAMLINE_LAMBDA(int64_t j, const float* sums) {
        dgamma[j] = sums[0];
        dbeta[j] = sums[1];
      });
}

void LayerNormCurve(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  Rows(run, call.inputs[0].rows, columns,
       LayerNormCurveRow{In(call, 0), In(call, 1), In(call, 2), In(call, 3), In(call, 4),
                         In(call, 5), Out(call, 0), Out(call, 1), Out(call, 2), columns});
}

}  // namespace beamline::engine::cuda
