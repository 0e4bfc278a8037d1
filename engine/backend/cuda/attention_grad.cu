// Gradient of attention. The probabilities P are made again from the saved log-sum-exp of each row:
// with dP = dY V^T and D = sum_c dY Y: dV = P^T dY, dS = scale P (dP - D), dQ = dS K, dK = dS^T Q.
// The gradients of queries are sums over keys and those of keys sums over queries: two launches.
#include "engine/backend/cuda/attention_tile.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

struct Operands {
  explicit Operands(const KernelCall& call)
      : layout(LayoutOf(call, 1)),
        scale(ScaleOf(layout)),
        dy(In(call, 0)),
        q(In(call, 1)),
        kv(In(call, layout.sequences)),
        lse(In(call, call.inputs_count - 1)),
        dq(Out(call, 0)),
        dkv(Out(call, layout.sequences - 1)) {}

  // dS, and P, of a query by a key; from their product and dP.
  BEAMLINE_DEVICE float Slope(float product, float dp, float row_lse, float row_dot,
                              float* p) const {
    *p = math::Exp(scale * product - row_lse);
    return scale * *p * (dp - row_dot);
  }

  AttentionLayout layout;
  float scale;
  const float* dy;
  const float* q;
  const float* kv;
  const float* lse;
  float* dq;
  float* dkv;
};

// A team's shared memory, by floats. `own` and `other`: of the two sides of a head.
struct Memory {
  explicit Memory(const HeadShape& shape)
      : own{0, kOwn * shape.stride},
        other{own[1] + kOwn * shape.stride, own[1] + (kOwn + kOther) * shape.stride},
        slopes{other[1] + kOther * shape.stride, other[1] + (kOther + kOwn) * shape.stride},
        p(slopes[1] + kOwn * shape.stride),
        ds(p + kOwn * kScores),
        lse(ds + kOwn * kScores),
        dot(lse + kOther),
        floats(dot + kOther) {}

  int own[2];     // [kOwn]: queries and dy; or keys and values
  int other[2];   // [kOther]: the reverse
  int slopes[2];  // [kOwn]: the gradients
  int p, ds;      // [kOwn, kScores]
  int lse, dot;   // of the queries
  int floats;
};

// The gradient of kOwn queries.
struct QueryTile {
  Operands op;
  HeadShape shape;
  Memory at;
  int64_t blocks;
  const float* dot;

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const AttentionLayout& layout = op.layout;
    const HeadAt head(layout, team.index() / blocks);
    const int64_t first = team.index() % blocks * kOwn;
    const int64_t rows = math::Min<int64_t>(kOwn, layout.queries - first);
    float* shared = team.template shared<float>();
    team.For(kBlock, [&](int64_t i) {
      const int lane = static_cast<int>(i);
      LoadRows<kOwn>(shape, lane, op.q + head.q + first * layout.query_stride, layout.query_stride,
                     rows, shared + at.own[0]);
      LoadRows<kOwn>(shape, lane, op.dy + head.y + first * layout.units, layout.units, rows,
                     shared + at.own[1]);
      LoadRows<kOwn>(shape, lane, nullptr, 0, 0, shared + at.slopes[0]);
      if (lane >= kOwn) return;
      shared[at.lse + lane] = lane < rows ? op.lse[head.rows + first + lane] : 0.0f;
      shared[at.dot + lane] = lane < rows ? dot[head.rows + first + lane] : 0.0f;
    });
    const int64_t seen = SeenBy(layout, first + rows - 1, head.keys);
    for (int64_t key = 0; key < seen; key += kOther) {
      team.For(kBlock, [&](int64_t i) {
        const int64_t keys = math::Min<int64_t>(kOther, seen - key);
        const float* k = op.kv + head.k + key * layout.key_stride;
        LoadRows<kOther>(shape, static_cast<int>(i), k, layout.key_stride, keys,
                         shared + at.other[0]);
        LoadRows<kOther>(shape, static_cast<int>(i), k + layout.units, layout.key_stride, keys,
                         shared + at.other[1]);
      });
      team.For(kBlock, [&](int64_t i) {
        const int lane = static_cast<int>(i);
        float products[2][4], dp[2][4];
        Dots(shape, lane, shared + at.own[0], shared + at.other[0], products);
        Dots(shape, lane, shared + at.own[1], shared + at.other[1], dp);
        for (int r = 0; r < 2; ++r) {
          const int own = OwnRow(lane, r);
          const int64_t keys = SeenBy(layout, first + own, head.keys) - key;
          for (int n = 0; n < 4; ++n) {
            const int other = OtherRow(lane, n);
            float p;
            const float ds =
                op.Slope(products[r][n], dp[r][n], shared[at.lse + own], shared[at.dot + own], &p);
            shared[at.ds + own * kScores + other] = other < keys ? ds : 0.0f;
          }
        }
      });
      team.For(kOwn * (shape.padded / 4), [&](int64_t i) {
        const int own = static_cast<int>(i) / (shape.padded / 4);
        const int column = static_cast<int>(i) % (shape.padded / 4) * 4;
        Four sum = FourAt(shared + at.slopes[0] + own * shape.stride + column);
        AddRows(shape, shared + at.ds + own * kScores, shared + at.other[0] + column, &sum);
        FourAt(shared + at.slopes[0] + own * shape.stride + column) = sum;
      });
    }
    team.For(kBlock, [&](int64_t i) {
      ForElements(shape, static_cast<int>(i), rows, [&](int r, int c) {
        op.dq[head.q + (first + r) * layout.query_stride + c] =
            shared[at.slopes[0] + r * shape.stride + c];
      });
    });
  }
};

// The gradients of kOwn keys and values.
struct KeyTile {
  Operands op;
  HeadShape shape;
  Memory at;
  int64_t blocks;
  const float* dot;

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const AttentionLayout& layout = op.layout;
    const HeadAt head(layout, team.index() / blocks);
    const int64_t first = team.index() % blocks * kOwn;
    const int64_t rows = math::Min<int64_t>(kOwn, layout.keys - first);
    float* shared = team.template shared<float>();
    team.For(kBlock, [&](int64_t i) {
      const int lane = static_cast<int>(i);
      const float* k = op.kv + head.k + first * layout.key_stride;
      for (int side = 0; side < 2; ++side) {
        LoadRows<kOwn>(shape, lane, k + side * layout.units, layout.key_stride, rows,
                       shared + at.own[side]);
        LoadRows<kOwn>(shape, lane, nullptr, 0, 0, shared + at.slopes[side]);
      }
    });
    // Queries before `begin` see none of these keys.
    const int64_t begin = layout.causal ? first / kOther * kOther : 0;
    const int64_t end = first < head.keys ? layout.queries : 0;
    for (int64_t query = begin; query < end; query += kOther) {
      const int64_t queries = math::Min<int64_t>(kOther, end - query);
      team.For(kBlock,
               [&](int64_t i) { LoadQueries(shared, head, static_cast<int>(i), query, queries); });
      team.For(kBlock, [&](int64_t i) {
        Slopes(shared, static_cast<int>(i), queries, [&](int own, int other) {
          return first + own < SeenBy(layout, query + other, head.keys);
        });
      });
      team.For(kOwn * (shape.padded / 4),
               [&](int64_t i) { Accumulate(shared, static_cast<int>(i)); });
    }
    team.For(kBlock, [&](int64_t i) {
      ForElements(shape, static_cast<int>(i), rows, [&](int r, int c) {
        const int64_t to = head.k + (first + r) * layout.key_stride + c;
        op.dkv[to] = shared[at.slopes[0] + r * shape.stride + c];
        op.dkv[to + layout.units] = shared[at.slopes[1] + r * shape.stride + c];
      });
    });
  }

  BEAMLINE_DEVICE void LoadQueries(float* shared, const HeadAt& head, int lane, int64_t query,
                                   int64_t queries) const {
    const AttentionLayout& layout = op.layout;
    LoadRows<kOther>(shape, lane, op.q + head.q + query * layout.query_stride, layout.query_stride,
                     queries, shared + at.other[0]);
    LoadRows<kOther>(shape, lane, op.dy + head.y + query * layout.units, layout.units, queries,
                     shared + at.other[1]);
    if (lane >= kOther) return;
    shared[at.lse + lane] = lane < queries ? op.lse[head.rows + query + lane] : 0.0f;
    shared[at.dot + lane] = lane < queries ? dot[head.rows + query + lane] : 0.0f;
  }

  template <typename Sees>
  BEAMLINE_DEVICE void Slopes(float* shared, int lane, int64_t queries, const Sees& sees) const {
    float products[2][4], dp[2][4];
    Dots(shape, lane, shared + at.own[0], shared + at.other[0], products);
    Dots(shape, lane, shared + at.own[1], shared + at.other[1], dp);
    for (int r = 0; r < 2; ++r) {
      const int own = OwnRow(lane, r);
      for (int n = 0; n < 4; ++n) {
        const int other = OtherRow(lane, n);
        float p;
        const float ds =
            op.Slope(products[r][n], dp[r][n], shared[at.lse + other], shared[at.dot + other], &p);
        const bool seen = other < queries && sees(own, other);
        shared[at.p + own * kScores + other] = seen ? p : 0.0f;
        shared[at.ds + own * kScores + other] = seen ? ds : 0.0f;
      }
    }
  }

  BEAMLINE_DEVICE void Accumulate(float* shared, int lane) const {
    const int own = lane / (shape.padded / 4);
    const int column = lane % (shape.padded / 4) * 4;
    for (int side = 0; side < 2; ++side) {
      Four& to = FourAt(shared + at.slopes[side] + own * shape.stride + column);
      Four sum = to;
      AddRows(shape, shared + (side == 0 ? at.ds : at.p) + own * kScores,
              shared + at.other[side] + column, &sum);
      to = sum;
    }
  }
};

// One query, or one key, of a head that is wider than kWidest.
struct QueryRow {
  Operands op;
  const float* dot;

  BEAMLINE_DEVICE void operator()(Team<kWarp>& team) const {
    const AttentionLayout& layout = op.layout;
    const HeadAt head(layout, team.index() / layout.queries);
    const int64_t i = team.index() % layout.queries;
    const float* q = op.q + head.q + i * layout.query_stride;
    const float* dy = op.dy + head.y + i * layout.units;
    float* dq = op.dq + head.q + i * layout.query_stride;
    team.For(layout.width, [&](int64_t c) { dq[c] = 0.0f; });
    const int64_t seen = SeenBy(layout, i, head.keys);
    for (int64_t j = 0; j < seen; ++j) {
      const float* k = op.kv + head.k + j * layout.key_stride;
      const float* v = k + layout.units;
      const float product =
          team.template Sum<float>(layout.width, [&](int64_t c) { return q[c] * k[c]; });
      const float dp =
          team.template Sum<float>(layout.width, [&](int64_t c) { return dy[c] * v[c]; });
      float p;
      const float ds = op.Slope(product, dp, op.lse[team.index()], dot[team.index()], &p);
      team.For(layout.width, [&](int64_t c) { dq[c] = math::Fma(ds, k[c], dq[c]); });
    }
  }
};
struct KeyRow {
  Operands op;
  const float* dot;

  BEAMLINE_DEVICE void operator()(Team<kWarp>& team) const {
    const AttentionLayout& layout = op.layout;
    const HeadAt head(layout, team.index() / layout.keys);
    const int64_t j = team.index() % layout.keys;
    const float* k = op.kv + head.k + j * layout.key_stride;
    const float* v = k + layout.units;
    float* dk = op.dkv + head.k + j * layout.key_stride;
    float* dv = dk + layout.units;
    team.For(layout.width, [&](int64_t c) { dk[c] = dv[c] = 0.0f; });
    for (int64_t i = layout.causal ? j : 0; i < layout.queries && j < head.keys; ++i) {
      const float* q = op.q + head.q + i * layout.query_stride;
      const float* dy = op.dy + head.y + i * layout.units;
      const float product =
          team.template Sum<float>(layout.width, [&](int64_t c) { return q[c] * k[c]; });
      const float dp =
          team.template Sum<float>(layout.width, [&](int64_t c) { return dy[c] * v[c]; });
      float p;
      const float ds = op.Slope(product, dp, op.lse[head.rows + i], dot[head.rows + i], &p);
      team.For(layout.width, [&](int64_t c) {
        dk[c] = math::Fma(ds, q[c], dk[c]);
        dv[c] = math::Fma(p, dy[c], dv[c]);
      });
    }
  }
};

}  // namespace

// D of each query.
Scratch AttentionGradScratch(const KernelCall& call) {
  const AttentionLayout layout = LayoutOf(call, 1);
  return {layout.batch * layout.heads * layout.queries * static_cast<int64_t>(sizeof(float)), 0};
}

void AttentionGrad(const KernelCall& call, const RunState& run) {
  const Operands op(call);
  const AttentionLayout layout = op.layout;
  float* dot = SharedScratch(run);
  const float* dy = op.dy;
  const float* y = In(call, call.inputs_count - 2);
  const int64_t heads = layout.batch * layout.heads;
  Teams<kWarp>(run, heads * layout.queries, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t row = team.index() / layout.heads;
    const int64_t h = team.index() % layout.heads;
    const int64_t first = row * layout.units + h * layout.width;
    const float sum = team.template Sum<float>(
        layout.width, [&](int64_t c) { return dy[first + c] * y[first + c]; });
    const int64_t b = row / layout.queries;
    const int64_t i = row % layout.queries;
    team.Once([&] { dot[(b * layout.heads + h) * layout.queries + i] = sum; });
  });
  if (layout.width > kWidest) {
    Teams<kWarp>(run, heads * layout.queries, 0, QueryRow{op, dot});
    Teams<kWarp>(run, heads * layout.keys, 0, KeyRow{op, dot});
    return;
  }
  const HeadShape shape(layout.width);
  const Memory memory(shape);
  const int64_t bytes = memory.floats * sizeof(float);
  const int64_t query_blocks = (layout.queries + kOwn - 1) / kOwn;
  const int64_t key_blocks = (layout.keys + kOwn - 1) / kOwn;
  Teams<kBlock>(run, heads * query_blocks, bytes, QueryTile{op, shape, memory, query_blocks, dot});
  Teams<kBlock>(run, heads * key_blocks, bytes, KeyTile{op, shape, memory, key_blocks, dot});
}

}  // namespace beamline::engine::cuda
