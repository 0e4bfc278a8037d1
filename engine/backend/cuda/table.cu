#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {

void Reshape(const KernelCall&, const RunState&) {}

const KernelTable& Table() {
  static const KernelTable kTable = {{
#define BEAMLINE_OP(Name, text) Name,
#include "engine/graph/ops.def"
#undef BEAMLINE_OP
  }};
  return kTable;
}

Scratch ScratchOf(OpKind op, const KernelCall& call) {
  switch (op) {
#define BEAMLINE_SCRATCH(Name) \
  case OpKind::k##Name:        \
    return Name##Scratch(call);
    BEAMLINE_SCRATCH(MatMul)
    BEAMLINE_SCRATCH(Conv)
    BEAMLINE_SCRATCH(ConvWeightGrad)
    BEAMLINE_SCRATCH(ColumnSum)
    BEAMLINE_SCRATCH(BatchNorm)
    BEAMLINE_SCRATCH(BatchNormGrad)
    BEAMLINE_SCRATCH(LayerNormGrad)
    BEAMLINE_SCRATCH(GroupNormGrad)
    BEAMLINE_SCRATCH(EmbeddingGrad)
    BEAMLINE_SCRATCH(AttentionGrad)
    BEAMLINE_SCRATCH(Recurrent)
    BEAMLINE_SCRATCH(RecurrentGrad)
    BEAMLINE_SCRATCH(RecurrentWeightGrad)
    BEAMLINE_SCRATCH(MemoryNetwork)
    BEAMLINE_SCRATCH(MemoryNetworkGrad)
    BEAMLINE_SCRATCH(ActivityLoss)
    BEAMLINE_SCRATCH(ActivityLossGrad)
    BEAMLINE_SCRATCH(PairLoss)
    BEAMLINE_SCRATCH(PairLossGrad)
    BEAMLINE_SCRATCH(GradientPenalty)
    BEAMLINE_SCRATCH(WeightPenalty)
    BEAMLINE_SCRATCH(SquaredNorm)
    BEAMLINE_SCRATCH(Update)
    BEAMLINE_SCRATCH(Routing)
    BEAMLINE_SCRATCH(RoutingGrad)
#undef BEAMLINE_SCRATCH
    default:
      return {};
  }
}

}  // namespace beamline::engine::cuda
