// What attention and its gradient share: blocks of queries and keys, packed and multiplied.
//
// A block of scores [kQueryBlock, kKeyBlock] is made, used and forgotten by one thread (as
// FlashAttention, Dao et al. 2022): scratch memory does not grow with the number of steps. Blocks
// begin at fixed steps, so sums have one shape for any number of threads.
#pragma once

#include "engine/backend/attention_layout.h"
#include "engine/backend/cpu/gemm.h"
#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

inline constexpr int64_t kQueryBlock = 24;  // a multiple of every kTileRows
inline constexpr int64_t kKeyBlock = 128;   // a multiple of every kPanel, and of 16

inline __attribute__((always_inline)) int64_t RoundUp(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}
inline __attribute__((always_inline)) int64_t AtMost(int64_t n, int64_t limit) {
  return n < limit ? n : limit;
}

// One head of one example.
struct AttentionHead {
  const float* q;
  const float* k;
  const float* v;
  int64_t keys;  // no padding among them
  float scale;
};
inline __attribute__((always_inline)) AttentionHead HeadOf(const KernelCall& call,
                                                           const AttentionLayout& layout, int first,
                                                           int64_t b, int64_t h) {
  AttentionHead head;
  head.q = In(call, first) + b * layout.query_batch + h * layout.width;
  head.k = In(call, first + layout.sequences - 1) + layout.key_offset + b * layout.key_batch +
           h * layout.width;
  head.v = head.k + layout.units;
  head.keys = KeysOf(layout, b);
  head.scale = 1.0f / math::Sqrt(static_cast<float>(layout.width));
  return head;
}

// The matrix [rows, columns] at x, rows `stride` apart, as panels of kPanel columns of `ld` rows.
inline void PackRows(const float* x, int64_t stride, int64_t rows, int64_t columns, int64_t ld,
                     float* packed) {
  for (int64_t j = 0; j < columns; j += kPanel, packed += ld * kPanel) {
    Pack(x, stride, false, 0, rows, j, AtMost(kPanel, columns - j), packed);
  }
}
// Its transpose.
inline void PackColumns(const float* x, int64_t stride, int64_t rows, int64_t columns,
                        float* packed) {
  for (int64_t j = 0; j < rows; j += kPanel, packed += columns * kPanel) {
    Pack(x, stride, true, 0, columns, j, AtMost(kPanel, rows - j), packed);
  }
}

// c[rows, columns rounded up to kPanel] (+)= op(a)[rows, inner] b, b packed in panels of ld rows.
template <bool kTransposeA>
inline void Product(int64_t rows, int64_t columns, int64_t inner, const float* a, int64_t lda,
                    const float* b, int64_t ld, float* c, int64_t ldc, bool accumulate) {
  for (int64_t j = 0; j < columns; j += kPanel, b += ld * kPanel) {
    for (int64_t i = 0; i < rows; i += kTileRows) {
      MicroTable<kTransposeA>::kFn[AtMost(kTileRows, rows - i)](
          inner, a + i * (kTransposeA ? 1 : lda), lda, b, kPanel, c + i * ldc + j, ldc, accumulate);
    }
  }
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
