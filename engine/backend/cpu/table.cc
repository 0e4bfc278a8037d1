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
    default:
      return {};
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
