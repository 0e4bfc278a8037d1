// Attention: softmax(scale Q K^T) V in each head. The softmax is made while the keys go by: each
// query keeps the largest score so far, and the sums that belong to it.
#include "engine/backend/cuda/attention_tile.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

constexpr int kMaxParts = 16;  // threads that share a query's scores
constexpr int kSumParts = 8;   // and its sum

// A team's shared memory, by floats.
struct Memory {
  explicit Memory(const HeadShape& shape)
      : q(0),
        k(q + kOwn * shape.stride),
        v(k + kOther * shape.stride),
        y(v + kOther * shape.stride),
        p(y + kOwn * shape.stride),
        parts(p + kOwn * kScores),
        sums(parts + kOwn * kMaxParts),
        largest(sums + kOwn * kSumParts),
        sum(largest + 2 * kOwn),
        floats(sum + kOwn) {}

  int q, k, v, y;
  int p;        // [kOwn, kScores]: scores, then exp(score - largest)
  int parts;    // [kOwn, kMaxParts]: the largest of some scores
  int sums;     // [kOwn, kSumParts]: sums of some of p
  int largest;  // [2, kOwn]: of the scores before a tile, and with it; they change places
  int sum;      // [kOwn]
  int floats;
};

struct AttentionTile {
  AttentionLayout layout;
  HeadShape shape;
  Memory at;
  int64_t blocks;  // of queries
  float scale;
  const float* q;
  const float* kv;
  float* y;
  float* lse;

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const HeadAt head(layout, team.index() / blocks);
    const int64_t first = team.index() % blocks * kOwn;
    const int64_t rows = math::Min<int64_t>(kOwn, layout.queries - first);
    float* shared = team.template shared<float>();
    team.For(kBlock, [&](int64_t i) {
      const int lane = static_cast<int>(i);
      LoadRows<kOwn>(shape, lane, q + head.q + first * layout.query_stride, layout.query_stride,
                     rows, shared + at.q);
      LoadRows<kOwn>(shape, lane, nullptr, 0, 0, shared + at.y);
      if (lane >= kOwn) return;
      shared[at.largest + lane] = -__builtin_inff();
      shared[at.sum + lane] = 0.0f;
    });
    const int64_t seen = SeenBy(layout, first + rows - 1, head.keys);
    int turn = 0;
    for (int64_t key = 0; key < seen; key += kOther, turn ^= 1) {
      team.For(kBlock, [&](int64_t i) {
        const int64_t keys = math::Min<int64_t>(kOther, seen - key);
        const float* k = kv + head.k + key * layout.key_stride;
        LoadRows<kOther>(shape, static_cast<int>(i), k, layout.key_stride, keys, shared + at.k);
        LoadRows<kOther>(shape, static_cast<int>(i), k + layout.units, layout.key_stride, keys,
                         shared + at.v);
      });
      const auto seen_of = [&](int r) {
        const int64_t here = SeenBy(layout, first + r, head.keys) - key;
        return static_cast<int>(math::Min<int64_t>(here, kOther));
      };
      team.For(kBlock, [&](int64_t i) { Score(shared, static_cast<int>(i), seen_of); });
      team.For(kOwn * kSumParts,
               [&](int64_t i) { Exponentiate(shared, static_cast<int>(i), turn, seen_of); });
      team.For(kOwn * (shape.padded / 4),
               [&](int64_t i) { Accumulate(shared, static_cast<int>(i), turn); });
    }
    team.For(kBlock, [&](int64_t i) {
      const int lane = static_cast<int>(i);
      ForElements(shape, lane, rows, [&](int r, int c) {
        const float value = shared[at.y + r * shape.stride + c] / shared[at.sum + r];
        y[head.y + (first + r) * layout.units + c] = seen > 0 ? value : 0.0f;
      });
      if (lane >= rows) return;
      const float log_sum =
          shared[at.largest + turn * kOwn + lane] + math::Log(shared[at.sum + lane]);
      lse[head.rows + first + lane] = seen > 0 ? log_sum : 0.0f;
    });
  }

  // Scores, and the largest of a thread's own.
  template <typename Seen>
  BEAMLINE_DEVICE void Score(float* shared, int lane, const Seen& seen_of) const {
    float sum[2][4];
    Dots(shape, lane, shared + at.q, shared + at.k, sum);
    for (int r = 0; r < 2; ++r) {
      const int own = OwnRow(lane, r);
      const int seen = seen_of(own);
      float largest = -__builtin_inff();
      for (int n = 0; n < 4; ++n) {
        const int other = OtherRow(lane, n);
        const float score = scale * sum[r][n];
        shared[at.p + own * kScores + other] = score;
        if (other < seen) largest = math::Max(largest, score);
      }
      shared[at.parts + own * kMaxParts + lane % kMaxParts] = largest;
    }
  }

  // From scores to p, eight of a query by a thread, and their sum; the new largest.
  template <typename Seen>
  BEAMLINE_DEVICE void Exponentiate(float* shared, int lane, int turn, const Seen& seen_of) const {
    const int own = lane / kSumParts;
    const int part = lane % kSumParts;
    const int seen = seen_of(own);
    float largest = shared[at.largest + turn * kOwn + own];
    for (int l = 0; l < kMaxParts; ++l) {
      largest = math::Max(largest, shared[at.parts + own * kMaxParts + l]);
    }
    float sum = 0;
    for (int half = 0; half < 2; ++half) {
      const int other = half * (kOther / 2) + part * 4;
      Four& p = FourAt(shared + at.p + own * kScores + other);
      for (int e = 0; e < 4; ++e) {
        p.v[e] = other + e < seen ? math::Exp(p.v[e] - largest) : 0.0f;
        sum += p.v[e];
      }
    }
    shared[at.sums + own * kSumParts + part] = sum;
    if (part == 0) shared[at.largest + (turn ^ 1) * kOwn + own] = largest;
  }

  // Four columns of a query's sum of values; by the first thread its sum of p.
  BEAMLINE_DEVICE void Accumulate(float* shared, int lane, int turn) const {
    const int quads = shape.padded / 4;
    const int own = lane / quads;
    const int quad = lane % quads;
    const float shrink = math::Exp(shared[at.largest + turn * kOwn + own] -
                                   shared[at.largest + (turn ^ 1) * kOwn + own]);
    Four& to = FourAt(shared + at.y + own * shape.stride + quad * 4);
    Four sum = to;
    for (int e = 0; e < 4; ++e) sum.v[e] *= shrink;
    AddRows(shape, shared + at.p + own * kScores, shared + at.v + quad * 4, &sum);
    to = sum;
    if (quad > 0) return;
    float added = 0;
    for (int l = 0; l < kSumParts; ++l) added += shared[at.sums + own * kSumParts + l];
    shared[at.sum + own] = math::Fma(shared[at.sum + own], shrink, added);
  }
};

// One query of a head that is wider than kWidest; key by key.
struct AttentionRow {
  AttentionLayout layout;
  float scale;
  const float* q;
  const float* kv;
  float* y;
  float* lse;

  BEAMLINE_DEVICE void operator()(Team<kWarp>& team) const {
    const HeadAt head(layout, team.index() / layout.queries);
    const int64_t i = team.index() % layout.queries;
    const float* query = q + head.q + i * layout.query_stride;
    float* to = y + head.y + i * layout.units;
    const int64_t seen = SeenBy(layout, i, head.keys);
    float largest = -__builtin_inff();
    float sum = 0;
    team.For(layout.width, [&](int64_t c) { to[c] = 0.0f; });
    for (int64_t j = 0; j < seen; ++j) {
      const float* k = kv + head.k + j * layout.key_stride;
      const float* v = k + layout.units;
      const float score = scale * team.template Sum<float>(
                                      layout.width, [&](int64_t c) { return query[c] * k[c]; });
      const float now = math::Max(largest, score);
      const float shrink = math::Exp(largest - now);
      const float p = math::Exp(score - now);
      sum = math::Fma(sum, shrink, p);
      largest = now;
      team.For(layout.width, [&](int64_t c) { to[c] = math::Fma(p, v[c], to[c] * shrink); });
    }
    team.For(layout.width, [&](int64_t c) {
      if (seen > 0) to[c] /= sum;
    });
    team.Once([&] { lse[team.index()] = seen > 0 ? largest + math::Log(sum) : 0.0f; });
  }
};

}  // namespace

void Attention(const KernelCall& call, const RunState& run) {
  const AttentionLayout layout = LayoutOf(call, 0);
  const float* q = In(call, 0);
  const float* kv = In(call, layout.sequences - 1);
  const float scale = ScaleOf(layout);
  if (layout.width > kWidest) {
    return Teams<kWarp>(run, layout.batch * layout.heads * layout.queries, 0,
                        AttentionRow{layout, scale, q, kv, Out(call, 0), Out(call, 1)});
  }
  const HeadShape shape(layout.width);
  const Memory memory(shape);
  const int64_t blocks = (layout.queries + kOwn - 1) / kOwn;
  Teams<kBlock>(
      run, layout.batch * layout.heads * blocks, memory.floats * sizeof(float),
      AttentionTile{layout, shape, memory, blocks, scale, q, kv, Out(call, 0), Out(call, 1)});
}

}  // namespace beamline::engine::cuda
