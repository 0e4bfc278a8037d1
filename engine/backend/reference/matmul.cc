// Matrix product: each element is one chain of fused multiply-adds over k in order, from zero;
// then the bias, then the activation or its gradient.
#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

template <typename T>
void MatMul(const KernelCall& call, const RunState&) {
  const Attributes& attributes = *call.attributes;
  const Operand& left = call.inputs[0];
  const Operand& right = call.inputs[1];
  const T* a = In<T>(call, 0);
  const T* b = In<T>(call, 1);
  T* y = Out<T>(call, 0);
  const int64_t rows = call.outputs[0].rows;
  const int64_t columns = call.outputs[0].columns;
  const int64_t inner = attributes.transpose_a ? left.rows : left.columns;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (int64_t k = 0; k < inner; ++k) {
        const T left_ik = attributes.transpose_a ? a[k * left.columns + i] : a[i * inner + k];
        const T right_kj = attributes.transpose_b ? b[j * right.columns + k] : b[k * columns + j];
        sum = math::Fma(left_ik, right_kj, sum);
      }
      y[i * columns + j] = sum;
    }
  }
  if (attributes.has_bias) {
    const T* bias = In<T>(call, 2);
    for (int64_t i = 0; i < rows * columns; ++i) y[i] += bias[i % columns];
  }
  if (call.outputs_count == 2) {
    for (int64_t i = 0; i < rows * columns; ++i) Out<T>(call, 1)[i] = y[i];
  }
  const T* saved = In<T>(call, call.inputs_count - 1);
  const T alpha = static_cast<T>(attributes.alpha);
  functors::ForActivation(attributes.activation, [&](auto tag) {
    constexpr Activation kKind = decltype(tag)::kActivation;
    for (int64_t i = 0; i < rows * columns; ++i) {
      if (attributes.activation_grad) {
        y[i] *= functors::Slope<kKind>(saved[i], alpha);
      } else {
        y[i] = functors::Activate<kKind>(y[i], alpha);
      }
    }
  });
}
BEAMLINE_INSTANTIATE(MatMul)

}  // namespace beamline::engine::reference
