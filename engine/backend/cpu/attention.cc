// Attention: softmax(scale Q K^T) V in each head.
#include "engine/backend/cpu/attention.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// Queries that share a tile of work: the keys and values are packed once for them.
constexpr int64_t kQueryChunk = 10 * kQueryBlock;

// One thread's memory.
struct Workspace {
  float* keys;     // transposed, [width, kKeyBlock] in panels
  float* values;   // [kKeyBlock, width] in panels
  float* scores;   // [kQueryBlock, kKeyBlock]
  float* result;   // [kQueryBlock, width rounded up]
  float* largest;  // [kQueryChunk]: of the scores so far
  float* sum;      // [kQueryChunk]: of exp(score - largest)
};
int64_t WorkspaceFloats(int64_t width) {
  const int64_t padded = RoundUp(width, kPanel);
  return kKeyBlock * (width + padded) + kQueryBlock * (kKeyBlock + padded) + 2 * kQueryChunk;
}
Workspace WorkspaceAt(float* memory, int64_t width) {
  const int64_t padded = RoundUp(width, kPanel);
  Workspace w;
  w.scores = memory;
  w.keys = w.scores + kQueryBlock * kKeyBlock;
  w.values = w.keys + kKeyBlock * width;
  w.result = w.values + kKeyBlock * padded;
  w.largest = w.result + kQueryBlock * padded;
  w.sum = w.largest + kQueryChunk;
  return w;
}

// scores [seen] become exp(scale score - largest), and zeros up to `limit`; returns by how much
// what was summed before must shrink.
inline __attribute__((always_inline)) float SoftmaxRow(float* __restrict scores, int64_t seen,
                                                       int64_t limit, float scale, float* largest,
                                                       float* sum) {
  const int64_t padded = RoundUp(seen, 16);
  for (int64_t j = seen; j < padded; ++j) scores[j] = -3e38f;
  const float before = *largest;
  const float now =
      math::Max(before, scale * LaneMax(padded, [&](int64_t j) { return scores[j]; }));
#pragma GCC ivdep
  for (int64_t j = 0; j < padded; ++j) scores[j] = math::Exp(math::Fma(scores[j], scale, -now));
  for (int64_t j = seen; j < limit || j < padded; ++j) scores[j] = 0.0f;
  const float shrink = math::Exp(before - now);
  *sum = math::Fma(*sum, shrink, LaneSum(padded, [&](int64_t j) { return scores[j]; }));
  *largest = now;
  return shrink;
}

struct Chunk {
  const AttentionLayout& layout;
  const AttentionHead& head;
  const Workspace& w;
  int64_t begin, end;  // queries
  float* y;            // row of query 0
  float* lse;          // of query 0
};

// Queries [first, first + rows) against the keys from `key` on, `limit` of them.
void Block(const Chunk& chunk, int64_t first, int64_t rows, int64_t key, int64_t limit) {
  const AttentionLayout& layout = chunk.layout;
  const Workspace& w = chunk.w;
  const int64_t width = layout.width;
  const int64_t padded = RoundUp(width, kPanel);
  Product<false>(rows, limit, width, chunk.head.q + first * layout.query_stride,
                 layout.query_stride, w.keys, width, w.scores, kKeyBlock, false);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = first + r;
    const int64_t seen = SeenBy(layout, i, chunk.head.keys) - key;
    float* scores = w.scores + r * kKeyBlock;
    float shrink = 1.0f;
    if (seen > 0) {
      shrink = SoftmaxRow(scores, AtMost(seen, limit), limit, chunk.head.scale,
                          w.largest + i - chunk.begin, w.sum + i - chunk.begin);
    } else {
      for (int64_t j = 0; j < limit; ++j) scores[j] = 0.0f;
    }
    if (key == 0) continue;
    const float* y = chunk.y + i * layout.units;
    Fill(w.result + r * padded, 0, width, [&](int64_t c) { return shrink * y[c]; });
  }
  Product<false>(rows, width, limit, w.scores, kKeyBlock, w.values, kKeyBlock, w.result, padded,
                 key > 0);
  const bool last = key + kKeyBlock >= SeenBy(layout, first + rows - 1, chunk.head.keys);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = first + r;
    const float sum = w.sum[i - chunk.begin];
    const float* result = w.result + r * padded;
    const float factor = last ? 1.0f / sum : 1.0f;
    Fill(chunk.y + i * layout.units, 0, width, [&](int64_t c) { return factor * result[c]; });
    if (last) chunk.lse[i] = w.largest[i - chunk.begin] + math::Log(sum);
  }
}

void Tile(const Chunk& chunk) {
  const AttentionLayout& layout = chunk.layout;
  const Workspace& w = chunk.w;
  for (int64_t i = chunk.begin; i < chunk.end; ++i) {
    w.largest[i - chunk.begin] = -3e38f;
    w.sum[i - chunk.begin] = 0.0f;
    if (chunk.head.keys > 0) continue;
    Fill(chunk.y + i * layout.units, 0, layout.width, [](int64_t) { return 0.0f; });
    chunk.lse[i] = 0.0f;
  }
  const int64_t seen = SeenBy(layout, chunk.end - 1, chunk.head.keys);
  for (int64_t key = 0; key < seen; key += kKeyBlock) {
    const int64_t keys = AtMost(kKeyBlock, seen - key);
    PackColumns(chunk.head.k + key * layout.key_stride, layout.key_stride, keys, layout.width,
                w.keys);
    PackRows(chunk.head.v + key * layout.key_stride, layout.key_stride, keys, layout.width,
             kKeyBlock, w.values);
    for (int64_t first = chunk.begin; first < chunk.end; first += kQueryBlock) {
      const int64_t rows = AtMost(kQueryBlock, chunk.end - first);
      const int64_t limit = AtMost(keys, SeenBy(layout, first + rows - 1, chunk.head.keys) - key);
      if (limit > 0) Block(chunk, first, rows, key, limit);
    }
  }
}

}  // namespace

Scratch AttentionScratch(const KernelCall& call) {
  const AttentionLayout layout = LayoutOf(call, 0);
  return {0, WorkspaceFloats(layout.width) * static_cast<int64_t>(sizeof(float))};
}

void Attention(const KernelCall& call, const RunState& run) {
  const AttentionLayout layout = LayoutOf(call, 0);
  const int64_t chunks = (layout.queries + kQueryChunk - 1) / kQueryChunk;
  const int64_t operations = 2 * layout.batch * layout.queries * layout.keys * layout.units;
  ForTilesInSlots(
      run, layout.batch * layout.heads * chunks, operations, [&](int64_t tile, int slot) {
        const int64_t b = tile / chunks / layout.heads;
        const int64_t h = tile / chunks % layout.heads;
        const AttentionHead head = HeadOf(call, layout, 0, b, h);
        const Workspace w = WorkspaceAt(ThreadScratch(run, slot), layout.width);
        const int64_t begin = tile % chunks * kQueryChunk;
        float* y = Out(call, 0) + b * layout.queries * layout.units + h * layout.width;
        float* lse = Out(call, 1) + (b * layout.heads + h) * layout.queries;
        Tile({layout, head, w, begin, AtMost(begin + kQueryChunk, layout.queries), y, lse});
      });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
