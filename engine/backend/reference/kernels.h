// Plain loops: the oracle for every other backend. Nothing here is tuned, and nothing should be.
//
// T is float or double. The formulas and shapes are those of OpKind.
#pragma once

#include "engine/backend/backend.h"

namespace beamline::engine::reference {

template <typename T>
T* In(const KernelCall& call, int i) {
  return static_cast<T*>(call.inputs[i].data);
}
template <typename T>
T* Out(const KernelCall& call, int i) {
  return static_cast<T*>(call.outputs[i].data);
}

#define BEAMLINE_REFERENCE_KERNEL(Name) \
  template <typename T>                 \
  void Name(const KernelCall& call, const RunState& run);

BEAMLINE_REFERENCE_KERNEL(MatMul)
BEAMLINE_REFERENCE_KERNEL(BiasAdd)
BEAMLINE_REFERENCE_KERNEL(Activate)
BEAMLINE_REFERENCE_KERNEL(ActivationGrad)
BEAMLINE_REFERENCE_KERNEL(SoftmaxGrad)
BEAMLINE_REFERENCE_KERNEL(ColumnSum)
BEAMLINE_REFERENCE_KERNEL(Dropout)
BEAMLINE_REFERENCE_KERNEL(BatchNorm)
BEAMLINE_REFERENCE_KERNEL(BatchNormInference)
BEAMLINE_REFERENCE_KERNEL(BatchNormGrad)
BEAMLINE_REFERENCE_KERNEL(LayerNorm)
BEAMLINE_REFERENCE_KERNEL(LayerNormGrad)
BEAMLINE_REFERENCE_KERNEL(Embedding)
BEAMLINE_REFERENCE_KERNEL(EmbeddingGrad)
BEAMLINE_REFERENCE_KERNEL(Concat)
BEAMLINE_REFERENCE_KERNEL(Slice)
BEAMLINE_REFERENCE_KERNEL(Add)
BEAMLINE_REFERENCE_KERNEL(Multiply)
BEAMLINE_REFERENCE_KERNEL(Loss)
BEAMLINE_REFERENCE_KERNEL(LossGrad)
BEAMLINE_REFERENCE_KERNEL(SquaredNorm)
BEAMLINE_REFERENCE_KERNEL(ClipScale)
BEAMLINE_REFERENCE_KERNEL(Update)

#undef BEAMLINE_REFERENCE_KERNEL

// In each kernel file: makes both precisions of a kernel.
#define BEAMLINE_INSTANTIATE(Name)                               \
  template void Name<float>(const KernelCall&, const RunState&); \
  template void Name<double>(const KernelCall&, const RunState&);

const KernelTable& TableFloat32();
const KernelTable& TableFloat64();

}  // namespace beamline::engine::reference
