// Matrix product, packed and tiled, with bias and activation (or its gradient) on each tile while
// it is in cache.
//
// An output element is one chain of fused multiply-adds over k in order, from zero: accumulators
// are stored to and loaded from the output between blocks of k. So its bits do not depend on the
// tile's shape, the instruction set or the thread.
//
// A tile of work is one panel of kPanel columns of b by up to kRowChunk rows of a. Its thread packs
// the panel (once for all its rows), so no thread waits for another.
#include "engine/backend/cpu/micro_kernel.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr int64_t kInner = 384;     // a packed panel stays in the first-level cache
constexpr int64_t kRowChunk = 240;  // a multiple of every kTileRows
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
  int64_t m, n, k;
  const float* bias;   // null: none
  bool scalar_bias;    // bias[0] for every element
  const float* saved;  // of the activation's gradient; null: none
  Activation activation;
  float alpha;
};

// c[rows, kPanel] (+)= a[rows, inner] b[inner, kPanel].
template <int kRows, bool kTransposeA>
void MicroKernel(int64_t inner, const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                 int64_t ldc, bool accumulate) {
  Vector sum[kRows][2];
  Begin<kRows, 2>(sum, c, ldc, accumulate);
  MultiplyInto<kRows, 2, kTransposeA>(sum, inner, a, lda, b, ldb);
  End<kRows, 2>(sum, c, ldc);
}

using MicroFn = void (*)(int64_t, const float*, int64_t, const float*, int64_t, float*, int64_t,
                         bool);
template <bool kTransposeA, int kRows>
constexpr MicroFn Micro() {
  if constexpr (kRows <= kTileRows) return MicroKernel<kRows, kTransposeA>;
  return nullptr;
}
template <bool kTransposeA>
struct MicroTable {
  static constexpr MicroFn kFn[13] = {nullptr,
                                      Micro<kTransposeA, 1>(),
                                      Micro<kTransposeA, 2>(),
                                      Micro<kTransposeA, 3>(),
                                      Micro<kTransposeA, 4>(),
                                      Micro<kTransposeA, 5>(),
                                      Micro<kTransposeA, 6>(),
                                      Micro<kTransposeA, 7>(),
                                      Micro<kTransposeA, 8>(),
                                      Micro<kTransposeA, 9>(),
                                      Micro<kTransposeA, 10>(),
                                      Micro<kTransposeA, 11>(),
                                      Micro<kTransposeA, 12>()};
};

// packed[k * kPanel + j] = op(b)[first_k + k, first_column + j], zero beyond the last column.
void Pack(const Problem& p, int64_t first_k, int64_t inner, int64_t first_column, int64_t columns,
          float* packed) {
  if (!p.transpose_b) {
    const float* from = p.b + first_k * p.ldb + first_column;
    if (columns == kPanel) {
      for (int64_t k = 0; k < inner; ++k, from += p.ldb, packed += kPanel) {
        Store(packed, Load(from));
        Store(packed + Vector::kWidth, Load(from + Vector::kWidth));
      }
      return;
    }
    for (int64_t k = 0; k < inner; ++k, from += p.ldb, packed += kPanel) {
      for (int j = 0; j < kPanel; ++j) packed[j] = j < columns ? from[j] : 0.0f;
    }
    return;
  }
  int64_t j = 0;
  for (; j + 8 <= columns; j += 8) {
    const float* from = p.b + (first_column + j) * p.ldb + first_k;
    int64_t k = 0;
    for (; k + 8 <= inner; k += 8) {
      Transpose8x8(from + k, p.ldb, packed + k * kPanel + j, kPanel);
    }
    for (; k < inner; ++k) {
      for (int i = 0; i < 8; ++i) packed[k * kPanel + j + i] = from[i * p.ldb + k];
    }
  }
  for (; j < kPanel; ++j) {
    const float* from = p.b + (first_column + j) * p.ldb + first_k;
    for (int64_t k = 0; k < inner; ++k) packed[k * kPanel + j] = j < columns ? from[k] : 0.0f;
  }
}

// Bias, then activation or its gradient, on y[first_row.., first_column..].
void Finish(const Problem& p, int64_t first_row, int64_t rows, int64_t first_column,
            int64_t columns) {
  Epilogue epilogue;
  epilogue.bias = p.bias == nullptr || p.scalar_bias ? p.bias : p.bias + first_column;
  epilogue.scalar_bias = p.scalar_bias;
  const int64_t first = first_row * p.n + first_column;
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
      Pack(p, k, inner, first_column, columns, packed);
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
  const int64_t chunks = (p.m + kRowChunk - 1) / kRowChunk;
  ForTiles(run, panels * chunks, p.m * p.n * p.k, [&](int64_t tile) {
    const int64_t first_row = tile / panels * kRowChunk;
    const int64_t last_row = first_row + kRowChunk < p.m ? first_row + kRowChunk : p.m;
    Panel(p, first_row, last_row, tile % panels * kPanel);
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
