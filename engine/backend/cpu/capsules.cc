// Capsules: votes, routing by agreement, lengths. An example is routed by one thread, which walks
// over its votes once for each iteration: coefficients are made anew and never stored.
#include "engine/backend/capsules.h"

#include "engine/backend/cpu/columns.h"
#include "engine/backend/cpu/kernels.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

using math::Fma;

namespace {

inline __attribute__((always_inline)) float Dot(const float* a, const float* b, int64_t n) {
  return LaneSum(n, [&](int64_t i) { return a[i] * b[i]; });
}

inline __attribute__((always_inline)) void SquashRow(const float* x, int64_t n, float* y) {
  const float factor = capsules::SquashFactor(Dot(x, x, n));
  Fill(y, 0, n, [&](int64_t i) { return factor * x[i]; });
}

inline __attribute__((always_inline)) void SquashRowGrad(const float* dy, const float* x, int64_t n,
                                                         float* dx) {
  const float squares = Dot(x, x, n);
  const float factor = capsules::SquashFactor(squares);
  const float along = capsules::SquashSlope(squares) * Dot(x, dy, n);
  Fill(dx, 0, n, [&](int64_t i) { return Fma(along, x[i], factor * dy[i]); });
}

// body(i) for all rows, some of them at a time.
template <typename Body>
void ForRows(const RunState& run, int64_t rows, int64_t columns, const Body& body) {
  constexpr int64_t kPiece = 64;
  ForTiles(run, (rows + kPiece - 1) / kPiece, rows * columns * 2, [&](int64_t piece) {
    for (int64_t i = piece * kPiece; i < rows && i < (piece + 1) * kPiece; ++i) body(i);
  });
}

// The operands of routing: votes [examples, inputs, capsules * dimension].
struct Extents {
  int64_t examples, inputs, columns, capsules, dimension, iterations;

  int64_t operations() const { return examples * inputs * columns * iterations * 2; }
};

Extents ExtentsOf(const KernelCall& call, int votes) {
  const Operand& x = call.inputs[votes];
  const int64_t capsules = call.attributes->heads;
  return {x.extents[0], x.extents[1],         x.columns,
          capsules,     x.columns / capsules, call.attributes->iterations};
}

// c_j = softmax_j(u_j . agreed_j): the logits are sums over iterations of u . v, `agreed` the sum
// of the v.
inline __attribute__((always_inline)) void Coefficients(const Extents& e, const float* votes,
                                                        const float* agreed, float* c) {
  const int64_t d = e.dimension;
  for (int64_t j = 0; j < e.capsules; ++j) c[j] = Dot(votes + j * d, agreed + j * d, d);
  const float largest = LaneMax(e.capsules, [&](int64_t j) { return c[j]; });
  Fill(c, 0, e.capsules, [&](int64_t j) { return math::Exp(c[j] - largest); });
  const float sum = LaneSum(e.capsules, [&](int64_t j) { return c[j]; });
  Fill(c, 0, e.capsules, [&](int64_t j) { return c[j] / sum; });
}

void SquashCapsules(const Extents& e, const float* sums, float* v) {
  for (int64_t k = 0; k < e.columns; k += e.dimension) SquashRow(sums + k, e.dimension, v + k);
}

// What the gradient of one example works with.
struct Work {
  float* dlogits;  // [inputs, capsules]: of the logits behind an iteration, then of those before it
  float* agreed;   // [columns]
  float* v;        // [columns]: what the iteration gave
  float* dv;       // [columns]
  float* ds;       // [columns]
  float* c;        // [capsules]
  float* dc;       // [capsules]

  Work(const Extents& e, float* memory)
      : dlogits(memory),
        agreed(dlogits + e.inputs * e.capsules),
        v(agreed + e.columns),
        dv(v + e.columns),
        ds(dv + e.columns),
        c(ds + e.columns),
        dc(c + e.capsules) {}
  static int64_t Floats(const Extents& e) { return (e.inputs + 2) * e.capsules + 4 * e.columns; }
};

// agreed = sum over iterations before t of what they squashed, squashed.
void AgreedBefore(const Extents& e, const float* sums, int64_t t, const Work& work) {
  Fill(work.agreed, 0, e.columns, [](int64_t) { return 0.0f; });
  for (int64_t before = 0; before < t; ++before) {
    SquashCapsules(e, sums + before * e.columns, work.v);
    Fill(work.agreed, 0, e.columns, [&](int64_t k) { return work.agreed[k] + work.v[k]; });
  }
}

// dv: what reaches the v of an iteration by the logits that it raised.
void GatherFromLogits(const Extents& e, const float* votes, const Work& work) {
  const int64_t d = e.dimension;
  Fill(work.dv, 0, e.columns, [](int64_t) { return 0.0f; });
  for (int64_t i = 0; i < e.inputs; ++i) {
    for (int64_t j = 0; j < e.capsules; ++j) {
      const float db = work.dlogits[i * e.capsules + j];
      const float* u = votes + i * e.columns + j * d;
      float* dv = work.dv + j * d;
      Fill(dv, 0, d, [&](int64_t k) { return Fma(db, u[k], dv[k]); });
    }
  }
}

// Through one iteration, from work.dv.
void BackIteration(const Extents& e, const float* votes, float* dvotes, const float* sums,
                   bool first, bool last, const Work& work) {
  const int64_t d = e.dimension;
  SquashCapsules(e, sums, work.v);
  for (int64_t k = 0; k < e.columns; k += d) {
    SquashRowGrad(work.dv + k, sums + k, d, work.ds + k);
  }
  for (int64_t i = 0; i < e.inputs; ++i) {
    const float* u = votes + i * e.columns;
    float* db = work.dlogits + i * e.capsules;
    Coefficients(e, u, work.agreed, work.c);
    for (int64_t j = 0; j < e.capsules; ++j) {
      const float c = work.c[j];
      const float raised = last ? 0.0f : db[j];
      float* du = dvotes + i * e.columns + j * d;
      const float* ds = work.ds + j * d;
      const float* v = work.v + j * d;
      if (last) {
        Fill(du, 0, d, [&](int64_t k) { return c * ds[k]; });
      } else {
        Fill(du, 0, d, [&](int64_t k) { return Fma(c, ds[k], Fma(raised, v[k], du[k])); });
      }
      if (!first) work.dc[j] = Dot(u + j * d, ds, d);
    }
    if (first) continue;
    const float mean = LaneSum(e.capsules, [&](int64_t j) { return work.c[j] * work.dc[j]; });
    Fill(db, 0, e.capsules, [&](int64_t j) {
      const float raised = last ? 0.0f : db[j];
      return Fma(work.c[j], work.dc[j] - mean, raised);
    });
  }
}

}  // namespace

void Squash(const KernelCall& call, const RunState& run) {
  const int64_t n = call.inputs[0].columns;
  ForRows(run, call.inputs[0].rows, n,
          [&](int64_t i) { SquashRow(In(call, 0) + i * n, n, Out(call, 0) + i * n); });
}

void SquashGrad(const KernelCall& call, const RunState& run) {
  const int64_t n = call.inputs[1].columns;
  ForRows(run, call.inputs[1].rows, n, [&](int64_t i) {
    SquashRowGrad(In(call, 0) + i * n, In(call, 1) + i * n, n, Out(call, 0) + i * n);
  });
}

void RowLength(const KernelCall& call, const RunState& run) {
  const int64_t n = call.inputs[0].columns;
  ForRows(run, call.inputs[0].rows, n, [&](int64_t i) {
    const float* x = In(call, 0) + i * n;
    Out(call, 0)[i] = math::Sqrt(Dot(x, x, n));
  });
}

void RowLengthGrad(const KernelCall& call, const RunState& run) {
  const int64_t n = call.inputs[1].columns;
  ForRows(run, call.inputs[1].rows, n, [&](int64_t i) {
    const float* x = In(call, 1) + i * n;
    const float slope = In(call, 0)[i] * capsules::LengthSlope(In(call, 2)[i]);
    Fill(Out(call, 0) + i * n, 0, n, [&](int64_t k) { return slope * x[k]; });
  });
}

// A capsule of all examples is one tile: its weight stays in the cache.
void Votes(const KernelCall& call, const RunState& run) {
  const int64_t inputs = call.inputs[1].extents[0];
  const int64_t examples = call.inputs[0].extents[0];
  const int64_t depth = call.inputs[0].columns;
  const int64_t n = call.inputs[1].columns;
  ForTiles(run, inputs, call.outputs[0].elements * depth, [&](int64_t i) {
    const float* weight = In(call, 1) + i * depth * n;
    for (int64_t b = 0; b < examples; ++b) {
      const float* u = In(call, 0) + (b * inputs + i) * depth;
      float* y = Out(call, 0) + (b * inputs + i) * n;
      ForBlocksOf16(n, [&](int64_t first, int64_t width) {
        float sum[16] = {};
        for (int64_t k = 0; k < depth; ++k) {
          const float* row = weight + k * n + first;
          for (int64_t j = 0; j < width; ++j) sum[j] = Fma(u[k], row[j], sum[j]);
        }
        for (int64_t j = 0; j < width; ++j) y[first + j] = sum[j];
      });
    }
  });
}

// du = dy W^T; dW = sum over examples, in order, of u^T dy.
void VotesGrad(const KernelCall& call, const RunState& run) {
  const int64_t inputs = call.inputs[2].extents[0];
  const int64_t examples = call.inputs[1].extents[0];
  const int64_t depth = call.inputs[1].columns;
  const int64_t n = call.inputs[2].columns;
  ForTiles(run, inputs, call.inputs[0].elements * depth * 2, [&](int64_t i) {
    const float* weight = In(call, 2) + i * depth * n;
    float* dweight = Out(call, 1) + i * depth * n;
    Fill(dweight, 0, depth * n, [](int64_t) { return 0.0f; });
    for (int64_t b = 0; b < examples; ++b) {
      const float* dy = In(call, 0) + (b * inputs + i) * n;
      const float* u = In(call, 1) + (b * inputs + i) * depth;
      float* du = Out(call, 0) + (b * inputs + i) * depth;
      for (int64_t k = 0; k < depth; ++k) {
        du[k] = Dot(dy, weight + k * n, n);
        float* to = dweight + k * n;
        Fill(to, 0, n, [&](int64_t j) { return Fma(u[k], dy[j], to[j]); });
      }
    }
  });
}

Scratch RoutingScratch(const KernelCall& call) {
  const Extents e = ExtentsOf(call, 0);
  return {0, (e.columns + e.capsules) * static_cast<int64_t>(sizeof(float))};
}

void Routing(const KernelCall& call, const RunState& run) {
  const Extents e = ExtentsOf(call, 0);
  const int64_t d = e.dimension;
  ForTilesInSlots(run, e.examples, e.operations(), [&](int64_t b, int slot) {
    const float* votes = In(call, 0) + b * e.inputs * e.columns;
    float* v = Out(call, 0) + b * e.columns;
    float* agreed = ThreadScratch(run, slot);
    float* c = agreed + e.columns;
    Fill(agreed, 0, e.columns, [](int64_t) { return 0.0f; });
    for (int64_t t = 0; t < e.iterations; ++t) {
      float* sums = Out(call, 1) + (b * e.iterations + t) * e.columns;
      Fill(sums, 0, e.columns, [](int64_t) { return 0.0f; });
      for (int64_t i = 0; i < e.inputs; ++i) {
        const float* u = votes + i * e.columns;
        Coefficients(e, u, agreed, c);
        for (int64_t j = 0; j < e.capsules; ++j) {
          const float share = c[j];
          Fill(sums, j * d, (j + 1) * d, [&](int64_t k) { return Fma(share, u[k], sums[k]); });
        }
      }
      SquashCapsules(e, sums, v);
      Fill(agreed, 0, e.columns, [&](int64_t k) { return agreed[k] + v[k]; });
    }
  });
}

Scratch RoutingGradScratch(const KernelCall& call) {
  return {0, Work::Floats(ExtentsOf(call, 1)) * static_cast<int64_t>(sizeof(float))};
}

// From the last iteration to the first. Iteration t turns logits b into c, s = sum c u and v, and
// hands on b + u . v: so b's gradient passes on beside what c hands it, and reaches u and v.
void RoutingGrad(const KernelCall& call, const RunState& run) {
  const Extents e = ExtentsOf(call, 1);
  ForTilesInSlots(run, e.examples, 3 * e.operations(), [&](int64_t b, int slot) {
    const Work work(e, ThreadScratch(run, slot));
    const float* votes = In(call, 1) + b * e.inputs * e.columns;
    float* dvotes = Out(call, 0) + b * e.inputs * e.columns;
    const float* dv = In(call, 0) + b * e.columns;
    const float* sums = In(call, 2) + b * e.iterations * e.columns;
    for (int64_t t = e.iterations - 1; t >= 0; --t) {
      const bool last = t == e.iterations - 1;
      if (last) {
        Fill(work.dv, 0, e.columns, [&](int64_t k) { return dv[k]; });
      } else {
        GatherFromLogits(e, votes, work);
      }
      AgreedBefore(e, sums, t, work);
      BackIteration(e, votes, dvotes, sums + t * e.columns, t == 0, last, work);
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
