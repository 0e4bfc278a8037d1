// The kernels of the CUDA backend, by the names of the ops.
#pragma once

#include "engine/backend/cuda/launch.h"

namespace beamline::engine::cuda {

#define BEAMLINE_OP(Name, text) void Name(const KernelCall& call, const RunState& run);
#include "engine/graph/ops.def"
#undef BEAMLINE_OP

// What the ops that need memory ask for, beside their kernels.
Scratch MatMulScratch(const KernelCall& call);
Scratch ConvScratch(const KernelCall& call);
Scratch ConvWeightGradScratch(const KernelCall& call);
Scratch ColumnSumScratch(const KernelCall& call);
Scratch BatchNormScratch(const KernelCall& call);
Scratch BatchNormGradScratch(const KernelCall& call);
Scratch LayerNormGradScratch(const KernelCall& call);
Scratch GroupNormGradScratch(const KernelCall& call);
Scratch EmbeddingGradScratch(const KernelCall& call);
Scratch AttentionGradScratch(const KernelCall& call);
Scratch RecurrentScratch(const KernelCall& call);
Scratch RecurrentGradScratch(const KernelCall& call);
Scratch RecurrentWeightGradScratch(const KernelCall& call);
Scratch MemoryNetworkScratch(const KernelCall& call);
Scratch MemoryNetworkGradScratch(const KernelCall& call);
Scratch ActivityLossScratch(const KernelCall& call);
Scratch ActivityLossGradScratch(const KernelCall& call);
Scratch PairLossScratch(const KernelCall& call);
Scratch PairLossGradScratch(const KernelCall& call);
Scratch GradientPenaltyScratch(const KernelCall& call);
Scratch WeightPenaltyScratch(const KernelCall& call);
Scratch SquaredNormScratch(const KernelCall& call);
Scratch UpdateScratch(const KernelCall& call);
Scratch RoutingScratch(const KernelCall& call);
Scratch RoutingGradScratch(const KernelCall& call);

const KernelTable& Table();
Scratch ScratchOf(OpKind op, const KernelCall& call);

}  // namespace beamline::engine::cuda
