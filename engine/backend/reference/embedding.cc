// Table look-up and its gradient.
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

// The row of the table for code column `c`, or -1 for an unknown category.
static int64_t TableRow(const KernelCall& call, int64_t code, int64_t c, int64_t categories) {
  const int64_t row = code + call.offsets[c];
  return code < 0 || row >= categories ? -1 : row;
}

template <typename T>
void Embedding(const KernelCall& call, const RunState&) {
  const int64_t width = call.inputs[0].columns;
  const int64_t code_columns = call.inputs[1].columns;
  const int32_t* codes = In<int32_t>(call, 1);
  for (int64_t i = 0; i < call.inputs[1].elements; ++i) {
    const int64_t row = TableRow(call, codes[i], i % code_columns, call.inputs[0].rows);
    for (int64_t j = 0; j < width; ++j) {
      Out<T>(call, 0)[i * width + j] = row < 0 ? T(0) : In<T>(call, 0)[row * width + j];
    }
  }
}
BEAMLINE_INSTANTIATE(Embedding)

template <typename T>
void EmbeddingGrad(const KernelCall& call, const RunState&) {
  const int64_t width = call.outputs[0].columns;
  const int64_t code_columns = call.inputs[1].columns;
  const int32_t* codes = In<int32_t>(call, 1);
  T* table = Out<T>(call, 0);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) table[i] = 0;
  for (int64_t i = 0; i < call.inputs[1].elements; ++i) {
    const int64_t row = TableRow(call, codes[i], i % code_columns, call.outputs[0].rows);
    for (int64_t j = 0; row >= 0 && j < width; ++j) {
      table[row * width + j] += In<T>(call, 0)[i * width + j];
    }
  }
}
BEAMLINE_INSTANTIATE(EmbeddingGrad)

}  // namespace beamline::engine::reference
