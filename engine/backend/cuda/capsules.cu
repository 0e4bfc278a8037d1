// Capsules: votes, routing by agreement, lengths.
#include "engine/backend/capsules.h"

#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/rows.h"

namespace beamline::engine::cuda {
namespace {

struct SquashOf {
  const float* x;
  float* y;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* from = x + row * columns;
    float* to = y + row * columns;
    const float squares =
        group.template Sum<float>(columns, [&](int64_t i) { return from[i] * from[i]; });
    const float factor = capsules::SquashFactor(squares);
    group.For(columns, [&](int64_t i) { to[i] = factor * from[i]; });
  }
};

struct SquashGradOf {
  const float* dy;
  const float* x;
  float* dx;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* from = x + row * columns;
    const float* slopes = dy + row * columns;
    float* to = dx + row * columns;
    const float squares =
        group.template Sum<float>(columns, [&](int64_t i) { return from[i] * from[i]; });
    const float dot =
        group.template Sum<float>(columns, [&](int64_t i) { return from[i] * slopes[i]; });
    const float factor = capsules::SquashFactor(squares);
    const float along = capsules::SquashSlope(squares) * dot;
    group.For(columns, [&](int64_t i) { to[i] = math::Fma(along, from[i], factor * slopes[i]); });
  }
};

struct LengthOf {
  const float* x;
  float* y;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* from = x + row * columns;
    const float squares =
        group.template Sum<float>(columns, [&](int64_t i) { return from[i] * from[i]; });
    group.Once([&] { y[row] = math::Sqrt(squares); });
  }
};

// du of one capsule of an example: row r of [b * i, k] is dy_r W_i^T, here one number of it.
struct VotesInputGrad {
  const float* dy;
  const float* weight;
  float* du;
  int64_t inputs, depth, columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const int64_t capsule = row / depth;
    const float* slopes = dy + capsule * columns;
    const float* by = weight + (capsule % inputs * depth + row % depth) * columns;
    const float sum =
        group.template Sum<float>(columns, [&](int64_t j) { return slopes[j] * by[j]; });
    group.Once([&] { du[row] = sum; });
  }
};

// The operands of routing: votes [examples, inputs, capsules * dimension].
struct Extents {
  Extents(const KernelCall& call, int votes)
      : examples(call.inputs[votes].extents[0]),
        inputs(call.inputs[votes].extents[1]),
        columns(call.inputs[votes].columns),
        capsules(call.attributes->heads),
        dimension(columns / capsules),
        iterations(call.attributes->iterations) {}

  int64_t examples, inputs, columns, capsules, dimension, iterations;
};

BEAMLINE_DEVICE float Dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

BEAMLINE_DEVICE void SquashCapsule(const float* x, int64_t n, float* y) {
  const float factor = capsules::SquashFactor(Dot(x, x, n));
  for (int64_t i = 0; i < n; ++i) y[i] = factor * x[i];
}

// c_j = softmax_j(u_j . agreed_j) of one input: the logits are sums over iterations of u . v,
// `agreed` the sum of the v.
BEAMLINE_DEVICE void Coefficients(const Extents& e, const float* votes, const float* agreed,
                                  float* c) {
  const int64_t d = e.dimension;
  float largest = 0;
  for (int64_t j = 0; j < e.capsules; ++j) {
    c[j] = Dot(votes + j * d, agreed + j * d, d);
    largest = j == 0 ? c[0] : math::Max(largest, c[j]);
  }
  float sum = 0;
  for (int64_t j = 0; j < e.capsules; ++j) {
    c[j] = math::Exp(c[j] - largest);
    sum += c[j];
  }
  for (int64_t j = 0; j < e.capsules; ++j) c[j] /= sum;
}

// Floats of memory for each example: c [inputs, capsules], agreed [columns].
int64_t RoutingFloats(const Extents& e) { return e.inputs * e.capsules + e.columns; }

// A team routes an example.
struct RouteExample {
  Extents e;
  const float* votes;
  float* v;
  float* sums;
  float* memory;
  int64_t floats;  // of each example

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const int64_t b = team.index();
    const float* u = votes + b * e.inputs * e.columns;
    float* y = v + b * e.columns;
    float* c = memory + b * floats;
    float* agreed = c + e.inputs * e.capsules;
    team.For(e.columns, [&](int64_t k) { agreed[k] = 0; });
    for (int64_t t = 0; t < e.iterations; ++t) {
      float* s = sums + (b * e.iterations + t) * e.columns;
      team.For(e.inputs,
               [&](int64_t i) { Coefficients(e, u + i * e.columns, agreed, c + i * e.capsules); });
      team.For(e.columns, [&](int64_t k) {
        const int64_t j = k / e.dimension;
        float sum = 0;
        for (int64_t i = 0; i < e.inputs; ++i) {
          sum = math::Fma(c[i * e.capsules + j], u[i * e.columns + k], sum);
        }
        s[k] = sum;
      });
      team.For(e.capsules, [&](int64_t j) {
        const int64_t first = j * e.dimension;
        SquashCapsule(s + first, e.dimension, y + first);
        for (int64_t k = first; k < first + e.dimension; ++k) agreed[k] += y[k];
      });
    }
  }
};

// Floats of memory for each example: gradient of the logits and c, [inputs, capsules] both; agreed,
// v, dv, ds [columns].
int64_t RoutingGradFloats(const Extents& e) { return 2 * e.inputs * e.capsules + 4 * e.columns; }

// And back: from the last iteration to the first. Iteration t turns logits b into c, s = sum c u
// and v, and hands on b + u . v: so b's gradient passes on beside what c hands it, and reaches u
// and v.
struct RouteExampleBack {
  Extents e;
  const float* dy;
  const float* votes;
  const float* sums;
  float* dvotes;
  float* memory;
  int64_t floats;  // of each example

  struct Work {
    float* dlogits;
    float* c;
    float* agreed;
    float* v;
    float* dv;
    float* ds;
  };

  // agreed, v, dv and ds of one capsule at iteration t.
  BEAMLINE_DEVICE void AtCapsule(const Work& w, int64_t b, int64_t t, int64_t j) const {
    const int64_t first = j * e.dimension;
    const float* from = sums + b * e.iterations * e.columns + first;
    for (int64_t k = first; k < first + e.dimension; ++k) w.agreed[k] = 0;
    for (int64_t before = 0; before < t; ++before) {
      SquashCapsule(from + before * e.columns, e.dimension, w.v + first);
      for (int64_t k = first; k < first + e.dimension; ++k) w.agreed[k] += w.v[k];
    }
    const float* s = from + t * e.columns;
    SquashCapsule(s, e.dimension, w.v + first);
    const float squares = Dot(s, s, e.dimension);
    const float factor = capsules::SquashFactor(squares);
    const float along = capsules::SquashSlope(squares) * Dot(s, w.dv + first, e.dimension);
    for (int64_t k = 0; k < e.dimension; ++k) {
      w.ds[first + k] = math::Fma(along, s[k], factor * w.dv[first + k]);
    }
  }

  // c of input i, and its part of dvotes and of the logits' gradient.
  BEAMLINE_DEVICE void AtInput(const Work& w, const float* u, float* du, int64_t i, bool first,
                               bool last) const {
    float* c = w.c + i * e.capsules;
    float* db = w.dlogits + i * e.capsules;
    Coefficients(e, u, w.agreed, c);
    float mean = 0;
    for (int64_t j = 0; j < e.capsules; ++j) {
      const int64_t begin = j * e.dimension;
      mean = math::Fma(c[j], Dot(u + begin, w.ds + begin, e.dimension), mean);
      for (int64_t k = begin; k < begin + e.dimension; ++k) {
        const float raised = last ? 0.0f : math::Fma(db[j], w.v[k], du[k]);
        du[k] = math::Fma(c[j], w.ds[k], raised);
      }
    }
    if (first) return;
    for (int64_t j = 0; j < e.capsules; ++j) {
      const int64_t begin = j * e.dimension;
      const float dc = Dot(u + begin, w.ds + begin, e.dimension);
      db[j] = math::Fma(c[j], dc - mean, last ? 0.0f : db[j]);
    }
  }

  BEAMLINE_DEVICE void operator()(Team<kBlock>& team) const {
    const int64_t b = team.index();
    const float* u = votes + b * e.inputs * e.columns;
    float* du = dvotes + b * e.inputs * e.columns;
    Work w;
    w.dlogits = memory + b * floats;
    w.c = w.dlogits + e.inputs * e.capsules;
    w.agreed = w.c + e.inputs * e.capsules;
    w.v = w.agreed + e.columns;
    w.dv = w.v + e.columns;
    w.ds = w.dv + e.columns;
    for (int64_t t = e.iterations - 1; t >= 0; --t) {
      const bool last = t == e.iterations - 1;
      team.For(e.columns, [&](int64_t k) {
        float sum = last ? dy[b * e.columns + k] : 0.0f;
        for (int64_t i = 0; i < e.inputs && !last; ++i) {
          sum = math::Fma(w.dlogits[i * e.capsules + k / e.dimension], u[i * e.columns + k], sum);
        }
        w.dv[k] = sum;
      });
      team.For(e.capsules, [&](int64_t j) { AtCapsule(w, b, t, j); });
      team.For(e.inputs, [&](int64_t i) {
        AtInput(w, u + i * e.columns, du + i * e.columns, i, t == 0, last);
      });
    }
  }
};

}  // namespace

void Squash(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  EachRow(run, call.inputs[0].rows, columns, SquashOf{In(call, 0), Out(call, 0), columns});
}

void SquashGrad(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[1].columns;
  EachRow(run, call.inputs[1].rows, columns,
          SquashGradOf{In(call, 0), In(call, 1), Out(call, 0), columns});
}

void RowLength(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  EachRow(run, call.inputs[0].rows, columns, LengthOf{In(call, 0), Out(call, 0), columns});
}

void RowLengthGrad(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[1].columns;
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  const float* y = In(call, 2);
  float* dx = Out(call, 0);
  Cells(run, call.inputs[1].rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t i) {
    dx[row * columns + i] = dy[row] * capsules::LengthSlope(y[row]) * x[row * columns + i];
  });
}

void Votes(const KernelCall& call, const RunState& run) {
  const int64_t inputs = call.inputs[1].extents[0];
  const int64_t depth = call.inputs[0].columns;
  const int64_t n = call.inputs[1].columns;
  const float* u = In(call, 0);
  const float* weight = In(call, 1);
  float* y = Out(call, 0);
  Cells(run, call.inputs[0].rows, n, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const float* by = weight + row % inputs * depth * n + j;
    float sum = 0;
    for (int64_t k = 0; k < depth; ++k) sum = math::Fma(u[row * depth + k], by[k * n], sum);
    y[row * n + j] = sum;
  });
}

// du = dy W^T; dW = sum over examples, in order, of u^T dy.
void VotesGrad(const KernelCall& call, const RunState& run) {
  const int64_t inputs = call.inputs[2].extents[0];
  const int64_t examples = call.inputs[1].extents[0];
  const int64_t depth = call.inputs[1].columns;
  const int64_t n = call.inputs[2].columns;
  const float* dy = In(call, 0);
  const float* u = In(call, 1);
  float* dweight = Out(call, 1);
  EachRow(run, call.inputs[1].elements, n,
          VotesInputGrad{dy, In(call, 2), Out(call, 0), inputs, depth, n});
  Cells(run, inputs * depth, n, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const int64_t i = row / depth;
    float sum = 0;
    for (int64_t b = 0; b < examples; ++b) {
      sum = math::Fma(u[b * inputs * depth + row], dy[(b * inputs + i) * n + j], sum);
    }
    dweight[row * n + j] = sum;
  });
}

Scratch RoutingScratch(const KernelCall& call) {
  const Extents e(call, 0);
  return {e.examples * RoutingFloats(e) * static_cast<int64_t>(sizeof(float)), 0};
}

void Routing(const KernelCall& call, const RunState& run) {
  const Extents e(call, 0);
  Teams<kBlock>(run, e.examples, 0,
                RouteExample{e, In(call, 0), Out(call, 0), Out(call, 1), SharedScratch(run),
                             RoutingFloats(e)});
}

Scratch RoutingGradScratch(const KernelCall& call) {
  const Extents e(call, 1);
  return {e.examples * RoutingGradFloats(e) * static_cast<int64_t>(sizeof(float)), 0};
}

void RoutingGrad(const KernelCall& call, const RunState& run) {
  const Extents e(call, 1);
  Teams<kBlock>(run, e.examples, 0,
                RouteExampleBack{e, In(call, 0), In(call, 1), In(call, 2), Out(call, 0),
                                 SharedScratch(run), RoutingGradFloats(e)});
}

}  // namespace beamline::engine::cuda
