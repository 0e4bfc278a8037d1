#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// In the order of OpKind.
static const KernelTable kTable = {{
    MatMul,         BiasAdd,       Activate,
    ActivationGrad, SoftmaxGrad,   ColumnSum,
    Dropout,        BatchNorm,     BatchNormInference,
    BatchNormGrad,  LayerNorm,     LayerNormGrad,
    Embedding,      EmbeddingGrad, Concat,
    Slice,          Add,           Multiply,
    nullptr,        Loss,          LossGrad,
    SquaredNorm,    ClipScale,     Update,
}};
static_assert(static_cast<int>(OpKind::kReshape) == 18 && kOpKinds == 24);

const KernelTable& Table() { return kTable; }

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
