// Gradient of a convolution by its weight.
#include "engine/backend/reference/image.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::reference {

// dW[k,l,c,n] = sum over b, i, j of x[b, what tap (k, l) of (i, j) looks at, c] dy[b,i,j,n]
template <typename T>
void ConvWeightGrad(const KernelCall& call, const RunState&) {
  const Window& window = call.attributes->window;
  const Image x(call.inputs[0]);
  const Image dy(call.inputs[1]);
  const int64_t seen = x.channels / window.groups;
  const int64_t units = dy.channels / window.groups;
  T* dw = Out<T>(call, 0);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) dw[i] = 0;
  ForPositions(dy, [&](int64_t b, int64_t row, int64_t column) {
    ForTaps(window, x, row, column, [&](int64_t k, int64_t l, int64_t i, int64_t j) {
      T* tap = dw + (k * window.kernel[1] + l) * seen * dy.channels;
      for (int64_t c = 0; c < seen; ++c) {
        for (int64_t n = 0; n < dy.channels; ++n) {
          const T left = In<T>(call, 0)[x.At(b, i, j, n / units * seen + c)];
          const T right = In<T>(call, 1)[dy.At(b, row, column, n)];
          tap[c * dy.channels + n] = math::Fma(left, right, tap[c * dy.channels + n]);
        }
      }
    });
  });
}
BEAMLINE_INSTANTIATE(ConvWeightGrad)

}  // namespace beamline::engine::reference
