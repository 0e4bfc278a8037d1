#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

void Reshape(const KernelCall&, const RunState&) {}

static const KernelTable kTable = {{
#define BEAMLINE_OP(Name, text) Name,
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
}};

const KernelTable& Table() { return kTable; }

// The ops that need scratch memory, and how much.
Scratch ScratchOf(OpKind op, const KernelCall& call) {
  switch (op) {
    case OpKind::kAttention:
      return AttentionScratch(call);
    case OpKind::kAttentionGrad:
      return AttentionGradScratch(call);
    case OpKind::kLayerNormGrad:
      return LayerNormGradScratch(call);
    case OpKind::kRecurrent:
      return RecurrentScratch(call);
    case OpKind::kRecurrentGrad:
      return RecurrentGradScratch(call);
    case OpKind::kMemoryNetwork:
      return MemoryNetworkScratch(call);
    case OpKind::kMemoryNetworkGrad:
      return MemoryNetworkGradScratch(call);
    case OpKind::kConv:
      return ConvScratch(call);
    case OpKind::kConvWeightGrad:
      return ConvWeightGradScratch(call);
    case OpKind::kGroupNormGrad:
      return GroupNormGradScratch(call);
    case OpKind::kColumnSum:
      return ColumnSumScratch(call);
    case OpKind::kBatchNorm:
      return BatchNormScratch(call);
    case OpKind::kBatchNormInference:
      return BatchNormInferenceScratch(call);
    case OpKind::kBatchNormGrad:
      return BatchNormGradScratch(call);
    case OpKind::kRouting:
      return RoutingScratch(call);
    case OpKind::kRoutingGrad:
      return RoutingGradScratch(call);
    case OpKind::kActivityLoss:
    case OpKind::kActivityLossGrad: {
      const Operand& x = call.inputs[0];
      const int64_t numbers = x.extents[0] > x.columns ? x.extents[0] : x.columns;
      return {numbers * static_cast<int64_t>(sizeof(float)), 0};
    }
    case OpKind::kPairLoss:
    case OpKind::kPairLossGrad: {
      const auto row_bytes = call.inputs[0].rows * static_cast<int64_t>(sizeof(float));
      return {op == OpKind::kPairLoss ? row_bytes : row_bytes * call.inputs[0].rows, 2 * row_bytes};
    }
    default:
      return {};
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
