// Matrix product, packed and tiled, with bias and activation (or its gradient) on each tile while
// it is in cache.
//
// An output element is one chain of fused multiply-adds over k in order, from zero: accumulators
// are stored to and loaded from the output between blocks of k. So its bits do not depend on the
// tile's shape, the instruction set or the thread.
//
// A tile of work is one panel of kPanel columns of b by up to kLongChunk rows of a. Its thread
// packs the panel (once for all its rows), so no thread waits for another.
#include "engine/backend/cpu/gemm.h"
#include "engine/backend/cpu/micro_kernel.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr int64_t kInner = 384;  // a packed panel stays close
// Rows of a tile of work, at most, and a multiple of every kTileRows. The longer, the less is
// packed twice; where that leaves fewer tiles than this, threads would wait for each other.
constexpr int64_t kLongChunk = 480;
constexpr int64_t kShortChunk = 240;
constexpr int64_t kRowStep = 12;
constexpr int64_t kEnoughTiles = 32;
// With so few rows, or with so small a b (in elements: it stays in the first-level cache), packing
// costs more than it gains.
constexpr int64_t kDirectRows = 8;
constexpr int64_t kDirectElements = 8192;

// y[m,n] = op(a)[m,k] op(b)[k,n]; element (i, k) of op(a) is a[i * row_stride + k * inner_stride].
struct Problem {
  const float* a;
  int64_t lda;
  bool transpose_a;
  const float* b;
  int64_t ldb;
  bool transpose_b;
  float* y;
  float* kept;  // [m,n]: what the activation was given; null: not wanted
  int64_t m, n, k;
  const float* bias;   // null: none
  bool scalar_bias;    // bias[0] for every element
  const float* saved;  // of the activation's gradient; null: none
  Activation activation;
  float alpha;
};

// Bias, then activation or its gradient, on y[first_row.., first_column..].
void Finish(const Problem& p, int64_t first_row, int64_t rows, int64_t first_column,
            int64_t columns) {
  Epilogue epilogue;
  epilogue.bias = p.bias == nullptr || p.scalar_bias ? p.bias : p.bias + first_column;
  epilogue.scalar_bias = p.scalar_bias;
  const int64_t first = first_row * p.n + first_column;
  for (int64_t i = 0; p.kept != nullptr && i < rows; ++i) {
    const float* y = p.y + first + i * p.n;
    Fill(p.kept + first + i * p.n, 0, columns, [&](int64_t j) {
      return epilogue.bias == nullptr ? y[j] : y[j] + epilogue.bias[p.scalar_bias ? 0 : j];
    });
  }
  epilogue.activation = p.activation;
  epilogue.alpha = p.alpha;
  Finish(epilogue, rows, columns, p.y + first, p.n, p.saved == nullptr ? nullptr : p.saved + first,
         p.n);
}

// Rows [first_row, last_row) of the panel that begins at first_column.
void Panel(const Problem& p, int64_t first_row, int64_t last_row, int64_t first_column) {
  alignas(64) float packed[kInner * kPanel];
  alignas(64) float edge[kTileRows * kPanel];
  const int64_t columns = p.n - first_column < kPanel ? p.n - first_column : kPanel;
  const bool small = last_row - first_row <= kDirectRows || p.k * p.ldb <= kDirectElements;
  const bool direct = !p.transpose_b && columns == kPanel && small;
  const MicroFn* micro = p.transpose_a ? MicroTable<true>::kFn : MicroTable<false>::kFn;
  int64_t k = 0;
  do {
    const int64_t inner = p.k - k < kInner ? p.k - k : kInner;
    const float* b = packed;
    if (direct) {
      b = p.b + k * p.ldb + first_column;
    } else {
      Pack(p.b, p.ldb, p.transpose_b, k, inner, first_column, columns, packed);
    }
    for (int64_t i = first_row; i < last_row; i += kTileRows) {
      const int64_t rows = last_row - i < kTileRows ? last_row - i : kTileRows;
      const float* a = p.a + (p.transpose_a ? k * p.lda + i : i * p.lda + k);
      float* y = p.y + i * p.n + first_column;
      const int64_t ldb = direct ? p.ldb : kPanel;
      if (columns == kPanel) {
        micro[rows](inner, a, p.lda, b, ldb, y, p.n, k > 0);
      } else {
        for (int64_t r = 0; k > 0 && r < rows; ++r) {
          for (int64_t j = 0; j < columns; ++j) edge[r * kPanel + j] = y[r * p.n + j];
        }
        micro[rows](inner, a, p.lda, b, ldb, edge, kPanel, k > 0);
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t j = 0; j < columns; ++j) y[r * p.n + j] = edge[r * kPanel + j];
        }
      }
      if (k + inner >= p.k) Finish(p, i, rows, first_column, columns);
    }
    k += inner;
  } while (k < p.k);
}

// A single column becomes a single row: y^T = op(b)^T op(a)^T, so that vectors are full.
Problem Swapped(const Problem& p) {
  Problem swapped = p;
  swapped.a = p.b;
  swapped.lda = p.k;
  swapped.transpose_a = false;
  swapped.b = p.a;
  swapped.ldb = p.lda;
  swapped.transpose_b = !p.transpose_a;
  swapped.m = 1;
  swapped.n = p.m;
  swapped.scalar_bias = true;
  return swapped;
}

// Rows are shared out evenly, so that no tile has only a few for a whole packed panel.
int64_t RowsPerTile(int64_t m, int64_t panels) {
  const auto split = [m](int64_t most) {
    const int64_t chunks = (m + most - 1) / most;
    const int64_t even = (m + chunks - 1) / chunks;
    return (even + kRowStep - 1) / kRowStep * kRowStep;
  };
  const int64_t rows = split(kLongChunk);
  return panels * ((m + rows - 1) / rows) >= kEnoughTiles ? rows : split(kShortChunk);
}

}  // namespace

void MatMul(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const Operand& a = call.inputs[0];
  const Operand& b = call.inputs[1];
  Problem p;
  p.a = In(call, 0);
  p.lda = a.columns;
  p.transpose_a = attributes.transpose_a;
  p.b = In(call, 1);
  p.ldb = b.columns;
  p.transpose_b = attributes.transpose_b;
  p.y = Out(call, 0);
  p.kept = call.outputs_count == 2 ? Out(call, 1) : nullptr;
  p.m = call.outputs[0].rows;
  p.n = call.outputs[0].columns;
  p.k = attributes.transpose_a ? a.rows : a.columns;
  p.bias = attributes.has_bias ? In(call, 2) : nullptr;
  p.scalar_bias = false;
  p.saved = attributes.activation_grad ? In(call, call.inputs_count - 1) : nullptr;
  p.activation = attributes.activation;
  p.alpha = static_cast<float>(attributes.alpha);
  if (p.n == 1 && p.m > 1) p = Swapped(p);

  const int64_t panels = (p.n + kPanel - 1) / kPanel;
  const int64_t rows = RowsPerTile(p.m, panels);
  const int64_t chunks = (p.m + rows - 1) / rows;
  ForTiles(run, panels * chunks, p.m * p.n * p.k, [&](int64_t tile) {
    const int64_t first_row = tile / panels * rows;
    const int64_t last_row = first_row + rows < p.m ? first_row + rows : p.m;
    Panel(p, first_row, last_row, tile % panels * kPanel);
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
