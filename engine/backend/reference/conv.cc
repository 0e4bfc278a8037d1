// Convolution: each element is one chain of fused multiply-adds over (kernel row, kernel column,
// channel) in order, from zero, padding left out; then the bias, then the activation or its
// gradient.
#include "engine/backend/functors.h"
#include "engine/backend/reference/image.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

template <typename T>
void Conv(const KernelCall& call, const RunState&) {
  const Attributes& attributes = *call.attributes;
  const Window& window = attributes.window;
  const Image x(call.inputs[0]);
  const Image y(call.outputs[0]);
  const Operand& weight = call.inputs[1];
  const int64_t weight_rows = weight.extents[2];
  const int64_t weight_columns = weight.extents[3];
  const int64_t seen = x.channels / window.groups;
  const int64_t units = y.channels / window.groups;
  ForPositions(y, [&](int64_t b, int64_t row, int64_t column) {
    for (int64_t n = 0; n < y.channels; ++n) {
      const int64_t first = n / units * seen;
      T sum = 0;
      ForTaps(window, x, row, column, [&](int64_t k, int64_t l, int64_t i, int64_t j) {
        if (window.flip) {
          k = window.kernel[0] - 1 - k;
          l = window.kernel[1] - 1 - l;
        }
        const T* tap = In<T>(call, 1) + (k * window.kernel[1] + l) * weight_rows * weight_columns;
        for (int64_t c = 0; c < seen; ++c) {
          const T w = window.flip ? tap[n % units * weight_columns + first + c]
                                  : tap[c * weight_columns + n];
          sum = math::Fma(In<T>(call, 0)[x.At(b, i, j, first + c)], w, sum);
        }
      });
      Out<T>(call, 0)[y.At(b, row, column, n)] = sum;
    }
  });
  const T* bias = attributes.has_bias ? In<T>(call, 2) : nullptr;
  const T* residual = attributes.has_residual ? In<T>(call, attributes.has_bias ? 3 : 2) : nullptr;
  const T* saved = In<T>(call, call.inputs_count - 1);
  const T alpha = static_cast<T>(attributes.alpha);
  T* out = Out<T>(call, 0);
  functors::ForActivation(attributes.activation, [&](auto tag) {
    constexpr Activation kKind = decltype(tag)::kActivation;
    for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
      T sum = bias == nullptr ? out[i] : out[i] + bias[i % y.channels];
      if (residual != nullptr) sum += residual[i];
      if (attributes.activation_grad) {
        out[i] = sum * functors::Slope<kKind>(saved[i], alpha);
      } else {
        out[i] = functors::Activate<kKind>(sum, alpha);
      }
    }
  });
}
BEAMLINE_INSTANTIATE(Conv)

}  // namespace beamline::engine::reference
