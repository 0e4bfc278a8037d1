#include "engine/backend/memory_calls.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

template <typename T>
void Reshape(const KernelCall&, const RunState&) {}

namespace {

template <typename T>
KernelTable Make() {
  return {{
#define BEAMLINE_OP(Name, text) Name<T>,
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
  }};
}

}  // namespace

Scratch ScratchOf(OpKind op, const KernelCall& call) {
  constexpr auto kDouble = static_cast<int64_t>(sizeof(double));
  switch (op) {
    case OpKind::kRecurrent:
      return {call.outputs[0].columns * kDouble, 0};
    case OpKind::kRecurrentGrad:
      return {4 * call.inputs[0].columns * kDouble, 0};
    case OpKind::kRouting:
      return {(call.inputs[0].columns + call.attributes->heads) * kDouble, 0};
    case OpKind::kRoutingGrad: {
      const Operand& votes = call.inputs[1];
      const int64_t numbers = (votes.extents[1] + 2) * call.attributes->heads + 4 * votes.columns;
      return {numbers * kDouble, 0};
    }
    case OpKind::kMemoryNetwork:
    case OpKind::kMemoryNetworkGrad: {
      const memory::Places places = memory::PlacesOf(call);
      const int64_t numbers = op == OpKind::kMemoryNetwork ? memory::ForwardNumbers(places)
                                                           : memory::BackwardNumbers(places);
      return {numbers * kDouble, 0};
    }
    default:
      return {};
  }
}

const KernelTable& TableFloat32() {
  static const KernelTable kTable = Make<float>();
  return kTable;
}

const KernelTable& TableFloat64() {
  static const KernelTable kTable = Make<double>();
  return kTable;
}

}  // namespace beamline::engine::reference
