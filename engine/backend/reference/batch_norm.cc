// Batch normalisation, with an activation or its gradient.
#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::reference {

// y = activation(y + residual, if there is one), over all elements.
template <typename T>
static void ActivateAll(const KernelCall& call) {
  const T alpha = static_cast<T>(call.attributes->alpha);
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    T* y = Out<T>(call, 0);
    const T* residual = call.attributes->has_residual ? In<T>(call, 5) : nullptr;
    for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
      const T sum = residual == nullptr ? y[i] : y[i] + residual[i];
      y[i] = functors::Activate<decltype(tag)::kActivation>(sum, alpha);
    }
  });
}

template <typename T>
void BatchNorm(const KernelCall& call, const RunState&) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const T* x = In<T>(call, 0);
  const T momentum = static_cast<T>(call.attributes->momentum);
  for (int64_t j = 0; j < columns; ++j) {
    T mean = 0;
    for (int64_t i = 0; i < rows; ++i) mean += x[i * columns + j];
    mean /= static_cast<T>(rows);
    T squares = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const T d = x[i * columns + j] - mean;
      squares = math::Fma(d, d, squares);
    }
    const T variance = squares / static_cast<T>(rows);
    const T rstd = T(1) / math::Sqrt(variance + static_cast<T>(call.attributes->epsilon));
    for (int64_t i = 0; i < rows; ++i) {
      const T normal = (x[i * columns + j] - mean) * rstd;
      Out<T>(call, 0)[i * columns + j] = math::Fma(normal, In<T>(call, 1)[j], In<T>(call, 2)[j]);
    }
    Out<T>(call, 1)[j] = mean;
    Out<T>(call, 2)[j] = rstd;
    const T unbiased = rows > 1 ? squares / static_cast<T>(rows - 1) : variance;
    T& running_mean = In<T>(call, 3)[j];
    T& running_variance = In<T>(call, 4)[j];
    running_mean = math::Fma(momentum, running_mean, (T(1) - momentum) * mean);
    running_variance = math::Fma(momentum, running_variance, (T(1) - momentum) * unbiased);
  }
  ActivateAll<T>(call);
}
BEAMLINE_INSTANTIATE(BatchNorm)

template <typename T>
void BatchNormInference(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const int64_t j = i % columns;
    const T rstd = T(1) / math::Sqrt(In<T>(call, 4)[j] + static_cast<T>(call.attributes->epsilon));
    const T normal = (In<T>(call, 0)[i] - In<T>(call, 3)[j]) * rstd;
    Out<T>(call, 0)[i] = math::Fma(normal, In<T>(call, 1)[j], In<T>(call, 2)[j]);
  }
  ActivateAll<T>(call);
}
BEAMLINE_INSTANTIATE(BatchNormInference)

// With z = (x - mean) rstd: dgamma = sum dy z, dbeta = sum dy,
// dx = gamma rstd (dy - dbeta / rows - z dgamma / rows). With activation_grad dy is multiplied by
// the slope first.
template <typename T>
void BatchNormGrad(const KernelCall& call, const RunState&) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = call.inputs[0].columns;
  const T* dy = In<T>(call, 0);
  const T* x = In<T>(call, 1);
  if (call.attributes->activation_grad) {
    // In place of dx, which is written where dy was read.
    const T* saved = In<T>(call, call.inputs_count - 1);
    const T alpha = static_cast<T>(call.attributes->alpha);
    functors::ForActivation(call.attributes->activation, [&](auto tag) {
      for (int64_t i = 0; i < rows * columns; ++i) {
        Out<T>(call, 0)[i] = dy[i] * functors::Slope<decltype(tag)::kActivation>(saved[i], alpha);
      }
    });
    dy = Out<T>(call, 0);
  }
  for (int64_t j = 0; j < columns; ++j) {
    const T mean = In<T>(call, 3)[j];
    const T rstd = In<T>(call, 4)[j];
    T dgamma = 0;
    T dbeta = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const T z = (x[i * columns + j] - mean) * rstd;
      dgamma = math::Fma(dy[i * columns + j], z, dgamma);
      dbeta += dy[i * columns + j];
    }
    Out<T>(call, 1)[j] = dgamma;
    Out<T>(call, 2)[j] = dbeta;
    const T scale = In<T>(call, 2)[j] * rstd;
    for (int64_t i = 0; i < rows; ++i) {
      const T z = (x[i * columns + j] - mean) * rstd;
      const T centred = dy[i * columns + j] - dbeta / static_cast<T>(rows);
      Out<T>(call, 0)[i * columns + j] =
          scale * math::Fma(-z, dgamma / static_cast<T>(rows), centred);
    }
  }
}
BEAMLINE_INSTANTIATE(BatchNormGrad)

}  // namespace beamline::engine::reference
