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

#define BEAMLINE_OP(Name, text) \
  template <typename T>         \
  void Name(const KernelCall& call, const RunState& run);
#include "engine/graph/ops.def"
#undef BEAMLINE_OP

// In each kernel file: makes both precisions of a kernel.
#define BEAMLINE_INSTANTIATE(Name)                               \
  template void Name<float>(const KernelCall&, const RunState&); \
  template void Name<double>(const KernelCall&, const RunState&);

// What a call needs in scratch memory, for either precision.
Scratch ScratchOf(OpKind op, const KernelCall& call);

const KernelTable& TableFloat32();
const KernelTable& TableFloat64();

}  // namespace beamline::engine::reference
