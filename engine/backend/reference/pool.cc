// Maximum and mean over windows.
#include "engine/backend/reference/image.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

// The place in x of the first maximum of a window; the last NaN if there is one.
template <typename T>
static int64_t Largest(const Window& window, const Image& x, const T* data, int64_t b, int64_t row,
                       int64_t column, int64_t c) {
  int64_t best = -1;
  ForTaps(window, x, row, column, [&](int64_t, int64_t, int64_t i, int64_t j) {
    const int64_t at = x.At(b, i, j, c);
    if (best < 0 || data[at] > data[best] || data[at] != data[at]) best = at;
  });
  return best;
}

template <typename T>
void MaxPool(const KernelCall& call, const RunState&) {
  const Image x(call.inputs[0]);
  const Image y(call.outputs[0]);
  ForPositions(y, [&](int64_t b, int64_t row, int64_t column) {
    for (int64_t c = 0; c < y.channels; ++c) {
      const int64_t best = Largest(call.attributes->window, x, In<T>(call, 0), b, row, column, c);
      Out<T>(call, 0)[y.At(b, row, column, c)] = In<T>(call, 0)[best];
    }
  });
}
BEAMLINE_INSTANTIATE(MaxPool)

template <typename T>
void MaxPoolGrad(const KernelCall& call, const RunState&) {
  const Image dy(call.inputs[0]);
  const Image x(call.inputs[1]);
  T* dx = Out<T>(call, 0);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = 0;
  ForPositions(dy, [&](int64_t b, int64_t row, int64_t column) {
    for (int64_t c = 0; c < dy.channels; ++c) {
      const int64_t best = Largest(call.attributes->window, x, In<T>(call, 1), b, row, column, c);
      dx[best] += In<T>(call, 0)[dy.At(b, row, column, c)];
    }
  });
}
BEAMLINE_INSTANTIATE(MaxPoolGrad)

template <typename T>
void AveragePool(const KernelCall& call, const RunState&) {
  const Image x(call.inputs[0]);
  const Image y(call.outputs[0]);
  ForPositions(y, [&](int64_t b, int64_t row, int64_t column) {
    for (int64_t c = 0; c < y.channels; ++c) {
      T sum = 0;
      int64_t count = 0;
      ForTaps(call.attributes->window, x, row, column, [&](int64_t, int64_t, int64_t i, int64_t j) {
        sum += In<T>(call, 0)[x.At(b, i, j, c)];
        ++count;
      });
      Out<T>(call, 0)[y.At(b, row, column, c)] = sum / static_cast<T>(count);
    }
  });
}
BEAMLINE_INSTANTIATE(AveragePool)

template <typename T>
void AveragePoolGrad(const KernelCall& call, const RunState&) {
  const Window& window = call.attributes->window;
  const Image dy(call.inputs[0]);
  const Image x(call.outputs[0]);
  T* dx = Out<T>(call, 0);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) dx[i] = 0;
  ForPositions(dy, [&](int64_t b, int64_t row, int64_t column) {
    int64_t count = 0;
    ForTaps(window, x, row, column, [&](int64_t, int64_t, int64_t, int64_t) { ++count; });
    ForTaps(window, x, row, column, [&](int64_t, int64_t, int64_t i, int64_t j) {
      for (int64_t c = 0; c < dy.channels; ++c) {
        dx[x.At(b, i, j, c)] += In<T>(call, 0)[dy.At(b, row, column, c)] / static_cast<T>(count);
      }
    });
  });
}
BEAMLINE_INSTANTIATE(AveragePoolGrad)

}  // namespace beamline::engine::reference
