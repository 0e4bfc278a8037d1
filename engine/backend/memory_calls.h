// Networks with an external memory: what a call's operands are.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/memory_backward.h"

namespace beamline::engine::memory {

BEAMLINE_MATH Places PlacesOf(const KernelCall& call) {
  return PlacesOf(*call.attributes, call.inputs[1].columns / 4);
}

template <typename T>
BEAMLINE_MATH T* OperandOf(const Operand* operands, int i) {
  return static_cast<T*>(operands[i].data);
}

template <typename T>
BEAMLINE_MATH Forward<T> ForwardOf(const KernelCall& call) {
  Forward<T> f;
  f.p = PlacesOf(call);
  f.steps = call.outputs[0].extents[1];
  f.x = OperandOf<T>(call.inputs, 0);
  f.recurrent = OperandOf<T>(call.inputs, 1);
  f.interface_weight = OperandOf<T>(call.inputs, 2);
  f.interface_bias = OperandOf<T>(call.inputs, 3);
  if (call.attributes->has_lengths) f.lengths = OperandOf<int32_t>(call.inputs, 4);
  f.y = OperandOf<T>(call.outputs, 0);
  if (call.outputs_count > 1) f.before = OperandOf<T>(call.outputs, 1);
  if (call.outputs_count > 1) f.records = OperandOf<T>(call.outputs, 2);
  return f;
}

template <typename T>
BEAMLINE_MATH Backward<T> BackwardOf(const KernelCall& call) {
  Backward<T> b;
  b.p = PlacesOf(call);
  b.steps = call.outputs[0].extents[1];
  b.dy = OperandOf<T>(call.inputs, 0);
  b.recurrent = OperandOf<T>(call.inputs, 1);
  b.interface_weight = OperandOf<T>(call.inputs, 2);
  b.records = OperandOf<T>(call.inputs, 3);
  if (call.attributes->has_lengths) b.lengths = OperandOf<int32_t>(call.inputs, 4);
  b.dgates = OperandOf<T>(call.outputs, 0);
  b.dinterface = OperandOf<T>(call.outputs, 1);
  return b;
}

}  // namespace beamline::engine::memory
