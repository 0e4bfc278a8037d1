#include "engine/learners/products.h"

#include "engine/backend/backend.h"

namespace beamline::engine {
namespace {

Operand OperandOf(const float* data, int64_t rows, int64_t columns) {
  Operand operand;
  operand.data = const_cast<float*>(data);  // kernels do not write inputs
  operand.rows = rows;
  operand.columns = columns;
  operand.elements = rows * columns;
  return operand;
}

}  // namespace

void Multiply(const MatrixView& a, const MatrixView& b, const float* bias, Activation activation,
              float* y, ThreadPool* pool) {
  static const Kernel kKernel = (*FindBackend("cpu").float32)[static_cast<size_t>(OpKind::kMatMul)];
  const int64_t m = a.transposed ? a.columns : a.rows;
  const int64_t n = b.transposed ? b.rows : b.columns;
  if (m == 0 || n == 0) return;
  Attributes attributes;
  attributes.transpose_a = a.transposed;
  attributes.transpose_b = b.transposed;
  attributes.has_bias = bias != nullptr;
  attributes.activation = activation;
  const Operand inputs[] = {OperandOf(a.data, a.rows, a.columns),
                            OperandOf(b.data, b.rows, b.columns), OperandOf(bias, 1, n)};
  const Operand output = OperandOf(y, m, n);
  KernelCall call;
  call.attributes = &attributes;
  call.inputs = inputs;
  call.inputs_count = bias != nullptr ? 3 : 2;
  call.outputs = &output;
  call.outputs_count = 1;
  RunState run;
  run.pool = pool;
  kKernel(call, run);
}

}  // namespace beamline::engine
