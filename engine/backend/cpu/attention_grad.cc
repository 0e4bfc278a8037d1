// Gradient of attention. The probabilities P are made again from the saved log-sum-exp of each row:
// with dP = dY V^T and D = sum_c dY Y: dV = P^T dY, dS = scale P (dP - D), dQ = dS K, dK = dS^T Q.
//
// One thread does one head of one example: the sums over queries (for keys and values) and over
// keys (for queries) are made block by block in order.
#include "engine/backend/cpu/attention.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// One thread's memory.
struct Workspace {
  float* scores;        // [kQueryBlock, kKeyBlock]: S, then P
  float* slopes;        // [kQueryBlock, kKeyBlock]: dP, then dS
  float* keys;          // transposed, [width, kKeyBlock] in panels
  float* values;        // the same
  float* key_rows;      // [kKeyBlock, width] in panels
  float* query_rows;    // [kQueryBlock, width] in panels
  float* dy_rows;       // the same
  float* query_slopes;  // [kQueryBlock, width rounded up]
  float* key_slopes;    // [kKeyBlock, width rounded up]
  float* value_slopes;  // the same
};
int64_t WorkspaceFloats(int64_t width) {
  const int64_t padded = RoundUp(width, kPanel);
  return 2 * kQueryBlock * kKeyBlock + 2 * kKeyBlock * width + 3 * kKeyBlock * padded +
         3 * kQueryBlock * padded;
}
Workspace WorkspaceAt(float* memory, int64_t width) {
  const int64_t padded = RoundUp(width, kPanel);
  Workspace w;
  w.scores = memory;
  w.slopes = w.scores + kQueryBlock * kKeyBlock;
  w.keys = w.slopes + kQueryBlock * kKeyBlock;
  w.values = w.keys + kKeyBlock * width;
  w.key_rows = w.values + kKeyBlock * width;
  w.key_slopes = w.key_rows + kKeyBlock * padded;
  w.value_slopes = w.key_slopes + kKeyBlock * padded;
  w.query_rows = w.value_slopes + kKeyBlock * padded;
  w.dy_rows = w.query_rows + kQueryBlock * padded;
  w.query_slopes = w.dy_rows + kQueryBlock * padded;
  return w;
}

// A head of an example, and its gradients.
struct Tile {
  const AttentionLayout& layout;
  const AttentionHead& head;
  const Workspace& w;
  const float* dy;  // [queries] rows `units` apart
  const float* y;
  const float* lse;  // [queries]
  float* dq;         // rows query_stride apart
  float* dk;         // rows key_stride apart
  float* dv;
};

// scores and slopes [rows, limit] of a block: from S and dP to P and dS.
void Slopes(const Tile& tile, int64_t first, int64_t rows, int64_t key, int64_t limit) {
  const AttentionLayout& layout = tile.layout;
  const float scale = tile.head.scale;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t i = first + r;
    const int64_t seen = AtMost(SeenBy(layout, i, tile.head.keys) - key, limit);
    float* __restrict p = tile.w.scores + r * kKeyBlock;
    float* __restrict ds = tile.w.slopes + r * kKeyBlock;
    const float* dy = tile.dy + i * layout.units;
    const float* y = tile.y + i * layout.units;
    const float dot = LaneSum(layout.width, [&](int64_t c) { return dy[c] * y[c]; });
    const float lse = tile.lse[i];
    // Whole vectors: what is beyond `seen` is put right after.
    const int64_t padded = seen > 0 ? RoundUp(seen, 16) : 0;
    for (int64_t j = seen > 0 ? seen : 0; j < padded; ++j) p[j] = ds[j] = 0.0f;
#pragma GCC ivdep
    for (int64_t j = 0; j < padded; ++j) {
      p[j] = math::Exp(math::Fma(p[j], scale, -lse));
      ds[j] = scale * p[j] * (ds[j] - dot);
    }
    for (int64_t j = seen > 0 ? seen : 0; j < limit; ++j) p[j] = ds[j] = 0.0f;
  }
}

// Queries [first, first + rows) against the keys from `key` on, `limit` of them.
void Block(const Tile& tile, int64_t first, int64_t rows, int64_t key, int64_t limit) {
  const AttentionLayout& layout = tile.layout;
  const Workspace& w = tile.w;
  const int64_t width = layout.width;
  const int64_t padded = RoundUp(width, kPanel);
  const float* q = tile.head.q + first * layout.query_stride;
  const float* dy = tile.dy + first * layout.units;
  Product<false>(rows, limit, width, q, layout.query_stride, w.keys, width, w.scores, kKeyBlock,
                 false);
  Product<false>(rows, limit, width, dy, layout.units, w.values, width, w.slopes, kKeyBlock, false);
  Slopes(tile, first, rows, key, limit);
  PackRows(q, layout.query_stride, rows, width, kQueryBlock, w.query_rows);
  PackRows(dy, layout.units, rows, width, kQueryBlock, w.dy_rows);
  Product<true>(limit, width, rows, w.scores, kKeyBlock, w.dy_rows, kQueryBlock, w.value_slopes,
                padded, true);
  Product<true>(limit, width, rows, w.slopes, kKeyBlock, w.query_rows, kQueryBlock, w.key_slopes,
                padded, true);
  Product<false>(rows, width, limit, w.slopes, kKeyBlock, w.key_rows, kKeyBlock, w.query_slopes,
                 padded, false);
  for (int64_t r = 0; r < rows; ++r) {
    float* dq = tile.dq + (first + r) * layout.query_stride;
    const float* added = w.query_slopes + r * padded;
    if (key == 0) {
      Fill(dq, 0, width, [&](int64_t c) { return added[c]; });
    } else {
      Fill(dq, 0, width, [&](int64_t c) { return dq[c] + added[c]; });
    }
  }
}

void Keys(const Tile& tile, int64_t key) {
  const AttentionLayout& layout = tile.layout;
  const Workspace& w = tile.w;
  const int64_t width = layout.width;
  const int64_t padded = RoundUp(width, kPanel);
  const int64_t keys = AtMost(kKeyBlock, tile.head.keys - key);
  const float* k = tile.head.k + key * layout.key_stride;
  const float* v = tile.head.v + key * layout.key_stride;
  PackColumns(k, layout.key_stride, keys, width, w.keys);
  PackColumns(v, layout.key_stride, keys, width, w.values);
  PackRows(k, layout.key_stride, keys, width, kKeyBlock, w.key_rows);
  Fill(w.key_slopes, 0, keys * padded, [](int64_t) { return 0.0f; });
  Fill(w.value_slopes, 0, keys * padded, [](int64_t) { return 0.0f; });
  for (int64_t first = 0; first < layout.queries; first += kQueryBlock) {
    const int64_t rows = AtMost(kQueryBlock, layout.queries - first);
    const int64_t limit = AtMost(keys, SeenBy(layout, first + rows - 1, tile.head.keys) - key);
    if (limit > 0) Block(tile, first, rows, key, limit);
  }
  for (int64_t j = 0; j < keys; ++j) {
    const int64_t row = (key + j) * layout.key_stride;
    Fill(tile.dk + row, 0, width, [&](int64_t c) { return w.key_slopes[j * padded + c]; });
    Fill(tile.dv + row, 0, width, [&](int64_t c) { return w.value_slopes[j * padded + c]; });
  }
}

void Run(const Tile& tile) {
  const AttentionLayout& layout = tile.layout;
  const auto zero = [](int64_t) { return 0.0f; };
  for (int64_t key = 0; key < tile.head.keys; key += kKeyBlock) Keys(tile, key);
  for (int64_t i = 0; tile.head.keys == 0 && i < layout.queries; ++i) {
    Fill(tile.dq + i * layout.query_stride, 0, layout.width, zero);
  }
  for (int64_t j = tile.head.keys; j < layout.keys; ++j) {
    Fill(tile.dk + j * layout.key_stride, 0, layout.width, zero);
    Fill(tile.dv + j * layout.key_stride, 0, layout.width, zero);
  }
}

}  // namespace

Scratch AttentionGradScratch(const KernelCall& call) {
  const AttentionLayout layout = LayoutOf(call, 1);
  return {0, WorkspaceFloats(layout.width) * static_cast<int64_t>(sizeof(float))};
}

void AttentionGrad(const KernelCall& call, const RunState& run) {
  const AttentionLayout layout = LayoutOf(call, 1);
  const int saved = call.inputs_count - 2;
  const int64_t operations = 5 * layout.batch * layout.queries * layout.keys * layout.units;
  ForTilesInSlots(run, layout.batch * layout.heads, operations, [&](int64_t index, int slot) {
    const int64_t b = index / layout.heads;
    const int64_t h = index % layout.heads;
    const AttentionHead head = HeadOf(call, layout, 1, b, h);
    const Workspace w = WorkspaceAt(ThreadScratch(run, slot), layout.width);
    const int64_t at = b * layout.queries * layout.units + h * layout.width;
    float* dq = Out(call, 0) + (head.q - In(call, 1));
    float* dk = Out(call, layout.sequences - 1) + (head.k - In(call, layout.sequences));
    Run({layout, head, w, In(call, 0) + at, In(call, saved) + at,
         In(call, saved + 1) + index * layout.queries, dq, dk, dk + layout.units});
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
