// Batch normalisation, with an activation or its gradient.
#include "engine/backend/cuda/columns.h"
#include "engine/backend/cuda/formulas.h"
#include "engine/backend/cuda/four.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

// y = activation((x - mean) rstd gamma + beta + residual, if there is one).
struct Normalise {
  Normalise(const KernelCall& call, const float* columns_mean, const float* columns_rstd,
            const float* columns_variance)
      : x(In(call, 0)),
        gamma(In(call, 1)),
        beta(In(call, 2)),
        mean(columns_mean),
        rstd(columns_rstd),
        variance(columns_variance),
        residual(call.attributes->has_residual ? In(call, 5) : nullptr),
        y(Out(call, 0)),
        kind(call.attributes->activation),
        alpha(static_cast<float>(call.attributes->alpha)),
        epsilon(static_cast<float>(call.attributes->epsilon)) {}

  template <int kWidth>
  BEAMLINE_DEVICE void At(int64_t at, int64_t j) const {
    const Pack<kWidth> value = PackAt<kWidth>(x + at);
    Pack<kWidth> added = {};
    if (residual != nullptr) added = PackAt<kWidth>(residual + at);
    const Pack<kWidth> scale = Scale<kWidth>(j);
    Pack<kWidth> sum;
    for (int e = 0; e < kWidth; ++e) {
      const float normal = (value.v[e] - mean[j + e]) * scale.v[e];
      sum.v[e] = math::Fma(normal, gamma[j + e], beta[j + e]);
      if (residual != nullptr) sum.v[e] += added.v[e];
    }
    functors::ForActivation(kind, [&](auto tag) {
      for (int e = 0; e < kWidth; ++e) {
        sum.v[e] = functors::Activate<decltype(tag)::kActivation>(sum.v[e], alpha);
      }
    });
    PackAt<kWidth>(y + at) = sum;
  }

  template <int kWidth>
  BEAMLINE_DEVICE Pack<kWidth> Scale(int64_t j) const {
    if (rstd != nullptr) return PackAt<kWidth>(rstd + j);
    Pack<kWidth> scale;
    for (int e = 0; e < kWidth; ++e) scale.v[e] = 1.0f / math::Sqrt(variance[j + e] + epsilon);
    return scale;
  }

  const float* x;
  const float* gamma;
  const float* beta;
  const float* mean;
  const float* rstd;  // null: made of the variance
  const float* variance;
  const float* residual;
  float* y;
  Activation kind;
  float alpha, epsilon;
};

}  // namespace

Scratch BatchNormScratch(const KernelCall& call) {
  return ColumnSumsScratch(call.inputs[0].rows, call.inputs[0].columns, 1);
}

void BatchNorm(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const float* x = In(call, 0);
  float* mean = Out(call, 1);
  float* rstd = Out(call, 2);
  float* running_mean = In(call, 3);
  float* running_variance = In(call, 4);
  const auto momentum = static_cast<float>(call.attributes->momentum);
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  ColumnSums<1>(
      run, rows, columns,
      [=] BEAMLINE_LAMBDA(int64_t i, int64_t j, float* value) { *value = x[i * columns + j]; },
      [=] BEAMLINE_LAMBDA(int64_t j, const float* sum) {
        mean[j] = *sum / static_cast<float>(rows);
        running_mean[j] = math::Fma(momentum, running_mean[j], (1.0f - momentum) * mean[j]);
      });
  ColumnSums<1>(
      run, rows, columns,
      [=] BEAMLINE_LAMBDA(int64_t i, int64_t j, float* value) {
        const float d = x[i * columns + j] - mean[j];
        *value = d * d;
      },
      [=] BEAMLINE_LAMBDA(int64_t j, const float* squares) {
        const float variance = *squares / static_cast<float>(rows);
        rstd[j] = 1.0f / math::Sqrt(variance + epsilon);
        const float unbiased = rows > 1 ? *squares / static_cast<float>(rows - 1) : variance;
        running_variance[j] =
            math::Fma(momentum, running_variance[j], (1.0f - momentum) * unbiased);
      });
  PackedCells(run, rows, columns, Normalise(call, mean, rstd, nullptr));
}

void BatchNormInference(const KernelCall& call, const RunState& run) {
  PackedCells(run, call.inputs[0].rows, call.inputs[0].columns,
              Normalise(call, In(call, 3), nullptr, In(call, 4)));
}

namespace {

// dx = gamma rstd (dy - dbeta / rows - z dgamma / rows), z = (x - mean) rstd; dy multiplied by the
// activation's slope if its gradient is fused.
struct Gradient {
  explicit Gradient(const KernelCall& call)
      : dy(In(call, 0)),
        x(In(call, 1)),
        gamma(In(call, 2)),
        mean(In(call, 3)),
        rstd(In(call, 4)),
        saved(call.attributes->activation_grad ? In(call, call.inputs_count - 1) : nullptr),
        dx(Out(call, 0)),
        dgamma(Out(call, 1)),
        dbeta(Out(call, 2)),
        kind(call.attributes->activation),
        alpha(static_cast<float>(call.attributes->alpha)),
        rows(static_cast<float>(call.inputs[0].rows)) {}

  BEAMLINE_DEVICE float Incoming(int64_t at) const {
    return saved == nullptr ? dy[at] : dy[at] * SlopeOf(kind, saved[at], alpha);
  }
  BEAMLINE_DEVICE float Normal(int64_t at, int64_t j) const { return (x[at] - mean[j]) * rstd[j]; }

  template <int kWidth>
  BEAMLINE_DEVICE void At(int64_t at, int64_t j) const {
    const Pack<kWidth> value = PackAt<kWidth>(x + at);
    Pack<kWidth> incoming = PackAt<kWidth>(dy + at);
    if (saved != nullptr) {
      const Pack<kWidth> from = PackAt<kWidth>(saved + at);
      functors::ForActivation(kind, [&](auto tag) {
        for (int e = 0; e < kWidth; ++e) {
          incoming.v[e] *= functors::Slope<decltype(tag)::kActivation>(from.v[e], alpha);
        }
      });
    }
    Pack<kWidth> result;
    for (int e = 0; e < kWidth; ++e) {
      const float z = (value.v[e] - mean[j + e]) * rstd[j + e];
      const float centred = incoming.v[e] - dbeta[j + e] / rows;
      result.v[e] = gamma[j + e] * rstd[j + e] * math::Fma(-z, dgamma[j + e] / rows, centred);
    }
    PackAt<kWidth>(dx + at) = result;
  }

  const float* dy;
  const float* x;
  const float* gamma;
  const float* mean;
  const float* rstd;
  const float* saved;
  float* dx;
  float* dgamma;
  float* dbeta;
  Activation kind;
  float alpha, rows;
};

}  // namespace

Scratch BatchNormGradScratch(const KernelCall& call) {
  return ColumnSumsScratch(call.inputs[0].rows, call.inputs[0].columns, 2);
}

// dgamma = sum dy z, dbeta = sum dy.
void BatchNormGrad(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const Gradient gradient(call);
  ColumnSums<2>(
      run, rows, columns,
      [=] BEAMLINE_LAMBDA(int64_t i, int64_t j, float* values) {
        const int64_t at = i * columns + j;
        values[1] = gradient.Incoming(at);
        values[0] = values[1] * gradient.Normal(at, j);
      },
      [=] BEAMLINE_LAMBDA(int64_t j, const float* sums) {
        gradient.dgamma[j] = sums[0];
        gradient.dbeta[j] = sums[1];
      });
  PackedCells(run, rows, columns, gradient);
}

}  // namespace beamline::engine::cuda
