// Ops on the edges of a graph.
#include "engine/backend/reference/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::reference {
namespace {

const int32_t* Codes(const KernelCall& call, int i) {
  return static_cast<const int32_t*>(call.inputs[i].data);
}

}  // namespace

template <typename T>
void SparseMatMul(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.inputs[1].columns;
  const int64_t width = columns / heads;
  const T* x = In<T>(call, 0);
  const T* weights = In<T>(call, 1);
  const int32_t* offsets = Codes(call, 2);
  const int32_t* to = Codes(call, 3);
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        sum = math::Fma(weights[k * heads + j / width], x[to[k] * columns + j], sum);
      }
      Out<T>(call, 0)[i * columns + j] = sum;
    }
  }
}
BEAMLINE_INSTANTIATE(SparseMatMul)

template <typename T>
void EdgeDot(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.outputs[0].columns;
  const int64_t width = columns / heads;
  const int32_t* offsets = Codes(call, 2);
  const int32_t* to = Codes(call, 3);
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      for (int64_t h = 0; h < heads; ++h) {
        T sum = 0;
        for (int64_t f = h * width; f < (h + 1) * width; ++f) {
          sum += In<T>(call, 0)[i * columns + f] * In<T>(call, 1)[to[k] * columns + f];
        }
        Out<T>(call, 0)[k * heads + h] = sum;
      }
    }
  }
}
BEAMLINE_INSTANTIATE(EdgeDot)

template <typename T>
void EdgeAdd(const KernelCall& call, const RunState&) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 2);
  const int32_t* to = Codes(call, 3);
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      for (int64_t h = 0; h < heads; ++h) {
        Out<T>(call, 0)[k * heads + h] =
            In<T>(call, 0)[i * heads + h] + In<T>(call, 1)[to[k] * heads + h];
      }
    }
  }
}
BEAMLINE_INSTANTIATE(EdgeAdd)

template <typename T>
void EdgeSum(const KernelCall& call, const RunState&) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 1);
  const int32_t* edges = call.inputs_count > 2 ? Codes(call, 2) : nullptr;
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    for (int64_t h = 0; h < heads; ++h) {
      T sum = 0;
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        sum += In<T>(call, 0)[(edges == nullptr ? k : edges[k]) * heads + h];
      }
      Out<T>(call, 0)[i * heads + h] = sum;
    }
  }
}
BEAMLINE_INSTANTIATE(EdgeSum)

template <typename T>
void EdgeSoftmax(const KernelCall& call, const RunState&) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 1);
  const T* s = In<T>(call, 0);
  T* y = Out<T>(call, 0);
  for (int64_t i = 0; i + 1 < call.inputs[1].elements; ++i) {
    for (int64_t h = 0; h < heads && offsets[i] < offsets[i + 1]; ++h) {
      T largest = s[offsets[i] * heads + h];
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        largest = math::Max(largest, s[k * heads + h]);
      }
      T sum = 0;
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        y[k * heads + h] = math::Exp(s[k * heads + h] - largest);
        sum += y[k * heads + h];
      }
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) y[k * heads + h] /= sum;
    }
  }
}
BEAMLINE_INSTANTIATE(EdgeSoftmax)

template <typename T>
void EdgeSoftmaxGrad(const KernelCall& call, const RunState&) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 2);
  const T* dy = In<T>(call, 0);
  const T* y = In<T>(call, 1);
  for (int64_t i = 0; i + 1 < call.inputs[2].elements; ++i) {
    for (int64_t h = 0; h < heads; ++h) {
      T dot = 0;
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        dot = math::Fma(dy[k * heads + h], y[k * heads + h], dot);
      }
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        Out<T>(call, 0)[k * heads + h] = y[k * heads + h] * (dy[k * heads + h] - dot);
      }
    }
  }
}
BEAMLINE_INSTANTIATE(EdgeSoftmaxGrad)

template <typename T>
void HeadDot(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.outputs[0].columns;
  const int64_t width = columns / heads;
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const int64_t row = i / heads;
    const int64_t h = i % heads;
    T sum = 0;
    for (int64_t f = h * width; f < (h + 1) * width; ++f) {
      sum += In<T>(call, 0)[row * columns + f] * In<T>(call, 1)[f];
    }
    Out<T>(call, 0)[i] = sum;
  }
}
BEAMLINE_INSTANTIATE(HeadDot)

template <typename T>
void HeadSpread(const KernelCall& call, const RunState&) {
  const int64_t columns = call.outputs[0].columns;
  const int64_t heads = call.inputs[0].columns;
  const int64_t width = columns / heads;
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const T s = In<T>(call, 0)[i / columns * heads + i % columns / width];
    Out<T>(call, 0)[i] = call.inputs_count > 1 ? s * In<T>(call, 1)[i % columns] : s;
  }
}
BEAMLINE_INSTANTIATE(HeadSpread)

}  // namespace beamline::engine::reference
