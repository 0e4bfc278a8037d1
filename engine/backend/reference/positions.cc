// Rotary positions, and lengths of padded rows.
#include "engine/backend/reference/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::reference {

template <typename T>
void Rotary(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t half = call.inputs[1].columns;
  const T direction = call.attributes->inverse ? T(-1) : T(1);
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T* x = In<T>(call, 0) + row * columns;
    T* y = Out<T>(call, 0) + row * columns;
    const int64_t step = row % call.inputs[1].rows;
    for (int64_t j = 0; j < columns; ++j) y[j] = x[j];
    for (int64_t i = 0; i < call.attributes->heads * half; ++i) {
      const T cos = In<T>(call, 1)[step * half + i % half];
      const T sin = direction * In<T>(call, 2)[step * half + i % half];
      y[2 * i] = math::Fma(x[2 * i], cos, -(x[2 * i + 1] * sin));
      y[2 * i + 1] = math::Fma(x[2 * i], sin, x[2 * i + 1] * cos);
    }
  }
}
BEAMLINE_INSTANTIATE(Rotary)

template <typename T>
void Lengths(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const int32_t* codes = In<int32_t>(call, 0) + row * columns;
    int64_t length = columns;
    while (length > 0 && codes[length - 1] < 0) --length;
    Out<int32_t>(call, 0)[row] = static_cast<int32_t>(length);
  }
}
BEAMLINE_INSTANTIATE(Lengths)

}  // namespace beamline::engine::reference
