#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

template <typename T>
KernelTable Make() {
  KernelTable table{};
  const auto set = [&](OpKind op, Kernel kernel) { table[static_cast<size_t>(op)] = kernel; };
  set(OpKind::kMatMul, MatMul<T>);
  set(OpKind::kBiasAdd, BiasAdd<T>);
  set(OpKind::kActivation, Activate<T>);
  set(OpKind::kActivationGrad, ActivationGrad<T>);
  set(OpKind::kSoftmaxGrad, SoftmaxGrad<T>);
  set(OpKind::kColumnSum, ColumnSum<T>);
  set(OpKind::kDropout, Dropout<T>);
  set(OpKind::kBatchNorm, BatchNorm<T>);
  set(OpKind::kBatchNormInference, BatchNormInference<T>);
  set(OpKind::kBatchNormGrad, BatchNormGrad<T>);
  set(OpKind::kLayerNorm, LayerNorm<T>);
  set(OpKind::kLayerNormGrad, LayerNormGrad<T>);
  set(OpKind::kEmbedding, Embedding<T>);
  set(OpKind::kEmbeddingGrad, EmbeddingGrad<T>);
  set(OpKind::kConcat, Concat<T>);
  set(OpKind::kSlice, Slice<T>);
  set(OpKind::kAdd, Add<T>);
  set(OpKind::kMultiply, Multiply<T>);
  set(OpKind::kLoss, Loss<T>);
  set(OpKind::kLossGrad, LossGrad<T>);
  set(OpKind::kSquaredNorm, SquaredNorm<T>);
  set(OpKind::kClipScale, ClipScale<T>);
  set(OpKind::kUpdate, Update<T>);
  return table;
}

}  // namespace

const KernelTable& TableFloat32() {
  static const KernelTable kTable = Make<float>();
  return kTable;
}

const KernelTable& TableFloat64() {
  static const KernelTable kTable = Make<double>();
  return kTable;
}

}  // namespace beamline::engine::reference
