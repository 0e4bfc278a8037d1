// Ops that treat each element, or each row, by itself.
#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/philox.h"

namespace beamline::engine::reference {

template <typename T>
void BiasAdd(const KernelCall& call, const RunState&) {
  const int64_t columns = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    Out<T>(call, 0)[i] = In<T>(call, 0)[i] + In<T>(call, 1)[i % columns];
  }
}
BEAMLINE_INSTANTIATE(BiasAdd)

template <typename T>
void Softmax(const KernelCall& call) {
  const int64_t columns = call.outputs[0].columns;
  for (int64_t row = 0; row < call.outputs[0].rows; ++row) {
    const T* x = In<T>(call, 0) + row * columns;
    T* y = Out<T>(call, 0) + row * columns;
    T largest = x[0];
    for (int64_t j = 1; j < columns; ++j) largest = math::Max(largest, x[j]);
    T sum = 0;
    for (int64_t j = 0; j < columns; ++j) sum += y[j] = math::Exp(x[j] - largest);
    for (int64_t j = 0; j < columns; ++j) y[j] /= sum;
  }
}

template <typename T>
void Activate(const KernelCall& call, const RunState&) {
  if (call.attributes->activation == Activation::kSoftmax) return Softmax<T>(call);
  const T alpha = static_cast<T>(call.attributes->alpha);
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
      Out<T>(call, 0)[i] = functors::Activate<decltype(tag)::kActivation>(In<T>(call, 0)[i], alpha);
    }
  });
}
BEAMLINE_INSTANTIATE(Activate)

template <typename T>
void ActivationGrad(const KernelCall& call, const RunState&) {
  const T alpha = static_cast<T>(call.attributes->alpha);
  functors::ForActivation(call.attributes->activation, [&](auto tag) {
    for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
      Out<T>(call, 0)[i] =
          In<T>(call, 0)[i] * functors::Slope<decltype(tag)::kActivation>(In<T>(call, 1)[i], alpha);
    }
  });
}
BEAMLINE_INSTANTIATE(ActivationGrad)

// dx = y (dy - sum_j dy_j y_j)
template <typename T>
void SoftmaxGrad(const KernelCall& call, const RunState&) {
  const int64_t columns = call.outputs[0].columns;
  for (int64_t row = 0; row < call.outputs[0].rows; ++row) {
    const T* dy = In<T>(call, 0) + row * columns;
    const T* y = In<T>(call, 1) + row * columns;
    T dot = 0;
    for (int64_t j = 0; j < columns; ++j) dot += dy[j] * y[j];
    for (int64_t j = 0; j < columns; ++j) {
      Out<T>(call, 0)[row * columns + j] = y[j] * (dy[j] - dot);
    }
  }
}
BEAMLINE_INSTANTIATE(SoftmaxGrad)

template <typename T>
void ColumnSum(const KernelCall& call, const RunState&) {
  const int64_t columns = call.inputs[0].columns;
  for (int64_t j = 0; j < columns; ++j) {
    T sum = 0;
    for (int64_t i = 0; i < call.inputs[0].rows; ++i) sum += In<T>(call, 0)[i * columns + j];
    Out<T>(call, 0)[j] = sum;
  }
}
BEAMLINE_INSTANTIATE(ColumnSum)

// Element i is kept if word i % 4 of Philox block (i / 4, stream, step) gives at least `rate`.
template <typename T>
void Dropout(const KernelCall& call, const RunState& run) {
  const float rate = static_cast<float>(In<T>(call, 1)[0]);
  const T scale = call.attributes->rescale ? T(1) / (T(1) - In<T>(call, 1)[0]) : T(1);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const PhiloxBlock block =
        Philox4x32(static_cast<uint32_t>(run.seed), static_cast<uint32_t>(run.seed >> 32),
                   static_cast<uint32_t>(i / 4), static_cast<uint32_t>(call.attributes->stream),
                   static_cast<uint32_t>(run.step), static_cast<uint32_t>(run.step >> 32));
    const bool keep = UniformFromBits(block.word[i % 4]) >= rate;
    Out<T>(call, 0)[i] = keep ? In<T>(call, 0)[i] * scale : T(0);
  }
}
BEAMLINE_INSTANTIATE(Dropout)

template <typename T>
void Concat(const KernelCall& call, const RunState&) {
  int64_t begin = 0;
  for (int part = 0; part < call.inputs_count; ++part) {
    const int64_t width = call.inputs[part].columns;
    for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        Out<T>(call, 0)[i * call.outputs[0].columns + begin + j] = In<T>(call, part)[i * width + j];
      }
    }
    begin += width;
  }
}
BEAMLINE_INSTANTIATE(Concat)

template <typename T>
void Slice(const KernelCall& call, const RunState&) {
  const int64_t width = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      Out<T>(call, 0)[i * width + j] =
          In<T>(call, 0)[i * call.inputs[0].columns + call.attributes->begin + j];
    }
  }
}
BEAMLINE_INSTANTIATE(Slice)

template <typename T>
void SliceGrad(const KernelCall& call, const RunState&) {
  const Operand& dy = call.inputs[0];
  const Operand& dx = call.outputs[0];
  for (int64_t i = 0; i < dx.elements; ++i) Out<T>(call, 0)[i] = 0;
  for (int64_t i = 0; i < dy.elements; ++i) {
    const int64_t row = i / dy.columns;
    const int64_t column = i % dy.columns + call.attributes->begin;
    Out<T>(call, 0)[row * dx.columns + column] = In<T>(call, 0)[i];
  }
}
BEAMLINE_INSTANTIATE(SliceGrad)

template <typename T>
void Add(const KernelCall& call, const RunState&) {
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    Out<T>(call, 0)[i] = In<T>(call, 0)[i] + In<T>(call, 1)[i];
  }
}
BEAMLINE_INSTANTIATE(Add)

template <typename T>
void Multiply(const KernelCall& call, const RunState&) {
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    Out<T>(call, 0)[i] = In<T>(call, 0)[i] * In<T>(call, 1)[i];
  }
}
BEAMLINE_INSTANTIATE(Multiply)

}  // namespace beamline::engine::reference
