// Layer normalisation.
#include "engine/backend/reference/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::reference {

template <typename T>
void LayerNorm(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    const T* x = In<T>(call, 0) + i * columns;
    T mean = 0;
    for (int64_t j = 0; j < columns; ++j) mean += x[j];
    mean /= static_cast<T>(columns);
    T squares = 0;
    for (int64_t j = 0; j < columns; ++j) squares += (x[j] - mean) * (x[j] - mean);
    const T rstd = T(1) / math::Sqrt(squares / static_cast<T>(columns) +
                                     static_cast<T>(call.attributes->epsilon));
    for (int64_t j = 0; j < columns; ++j) {
      Out<T>(call, 0)[i * columns + j] =
          math::Fma((x[j] - mean) * rstd, In<T>(call, 1)[j], In<T>(call, 2)[j]);
    }
    Out<T>(call, 1)[i] = mean;
    Out<T>(call, 2)[i] = rstd;
  }
}
BEAMLINE_INSTANTIATE(LayerNorm)

// With z = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean_j(g) - z mean_j(g z)).
template <typename T>
void LayerNormGrad(const KernelCall& call, const RunState&) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const T* gamma = In<T>(call, 2);
  T* dgamma = Out<T>(call, 1);
  T* dbeta = Out<T>(call, 2);
  for (int64_t j = 0; j < columns; ++j) dgamma[j] = dbeta[j] = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const T* dy = In<T>(call, 0) + i * columns;
    const T* x = In<T>(call, 1) + i * columns;
    const T mean = In<T>(call, 3)[i];
    const T rstd = In<T>(call, 4)[i];
    T sum = 0;
    T dot = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const T z = (x[j] - mean) * rstd;
      sum += dy[j] * gamma[j];
      dot += dy[j] * gamma[j] * z;
      dgamma[j] = math::Fma(dy[j], z, dgamma[j]);
      dbeta[j] += dy[j];
    }
    for (int64_t j = 0; j < columns; ++j) {
      const T z = (x[j] - mean) * rstd;
      const T centred = dy[j] * gamma[j] - sum / static_cast<T>(columns);
      Out<T>(call, 0)[i * columns + j] =
          rstd * math::Fma(-z, dot / static_cast<T>(columns), centred);
    }
  }
}
BEAMLINE_INSTANTIATE(LayerNormGrad)

// With z = (x - mean) rstd, a = dy gamma, and P(v) = v - mean_j(v) - z mean_j(v z), so that the
// gradient is rstd P(a): by a it is rstd P(u), by z g = -rstd (u mean_j(a z) + a mean_j(u z)), and
// by rstd the sum of u P(a).
template <typename T>
void LayerNormCurve(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  const auto count = static_cast<T>(columns);
  const T* gamma = In<T>(call, 3);
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    const T* u = In<T>(call, 0) + i * columns;
    const T* dy = In<T>(call, 1) + i * columns;
    const T* x = In<T>(call, 2) + i * columns;
    const T mean = In<T>(call, 4)[i];
    const T rstd = In<T>(call, 5)[i];
    T u_mean = 0, a_mean = 0, uz = 0, az = 0, ua = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const T z = (x[j] - mean) * rstd;
      const T a = dy[j] * gamma[j];
      u_mean += u[j] / count;
      a_mean += a / count;
      uz += u[j] * z / count;
      az += a * z / count;
      ua += u[j] * a / count;
    }
    const T by_rstd = ua - u_mean * a_mean - uz * az;  // over the columns
    for (int64_t j = 0; j < columns; ++j) {
      const T z = (x[j] - mean) * rstd;
      const T by_a = rstd * (u[j] - u_mean - z * uz);
      const T g = u[j] * az + dy[j] * gamma[j] * uz;
      const T g_centred = g - (u_mean * az + a_mean * uz) - z * (T(2) * uz * az);
      Out<T>(call, 0)[i * columns + j] = gamma[j] * by_a;
      Out<T>(call, 1)[i * columns + j] = -rstd * rstd * (g_centred + z * by_rstd);
      Out<T>(call, 2)[i * columns + j] = dy[j] * by_a;
    }
  }
}
BEAMLINE_INSTANTIATE(LayerNormCurve)

}  // namespace beamline::engine::reference
