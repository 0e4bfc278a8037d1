// Table look-up and its gradient.
#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// The row of the table for code column `c`, or -1 for an unknown category.
static int64_t TableRow(const KernelCall& call, int64_t code, int64_t c, int64_t categories) {
  const int64_t row = code + call.offsets[c];
  return code < 0 || row >= categories ? -1 : row;
}

void Embedding(const KernelCall& call, const RunState& run) {
  constexpr int64_t kPiece = 64;
  const int64_t width = call.inputs[0].columns;
  const int64_t code_columns = call.inputs[1].columns;
  const auto* codes = static_cast<const int32_t*>(call.inputs[1].data);
  const auto bytes = static_cast<size_t>(width) * sizeof(float);
  const int64_t count = call.inputs[1].elements;
  ForTiles(run, (count + kPiece - 1) / kPiece, call.outputs[0].elements, [&](int64_t piece) {
    for (int64_t i = piece * kPiece; i < count && i < (piece + 1) * kPiece; ++i) {
      const int64_t row = TableRow(call, codes[i], i % code_columns, call.inputs[0].rows);
      float* to = Out(call, 0) + i * width;
      if (row < 0) {
        __builtin_memset(to, 0, bytes);
      } else {
        __builtin_memcpy(to, In(call, 0) + row * width, bytes);
      }
    }
  });
}

// Codes in order; each row of the table is summed by one thread, that of row % kOwners.
void EmbeddingGrad(const KernelCall& call, const RunState& run) {
  constexpr int64_t kOwners = 32;
  const int64_t width = call.outputs[0].columns;
  const int64_t rows = call.outputs[0].rows;
  const int64_t code_columns = call.inputs[1].columns;
  const auto* codes = static_cast<const int32_t*>(call.inputs[1].data);
  float* table = Out(call, 0);
  ForTiles(run, kOwners, call.outputs[0].elements + call.inputs[0].elements, [&](int64_t owner) {
    for (int64_t row = owner; row < rows; row += kOwners) {
      __builtin_memset(table + row * width, 0, static_cast<size_t>(width) * sizeof(float));
    }
    for (int64_t i = 0; i < call.inputs[1].elements; ++i) {
      const int64_t row = TableRow(call, codes[i], i % code_columns, rows);
      if (row < 0 || row % kOwners != owner) continue;
      const float* dy = In(call, 0) + i * width;
      float* to = table + row * width;
      Fill(to, 0, width, [&](int64_t j) { return to[j] + dy[j]; });
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
