// Capsules: votes, routing by agreement, lengths.
#include "engine/backend/capsules.h"

#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

template <typename T>
T Dot(const T* a, const T* b, int64_t n) {
  T sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <typename T>
void SquashRow(const T* x, int64_t n, T* y) {
  const T factor = capsules::SquashFactor(Dot(x, x, n));
  for (int64_t i = 0; i < n; ++i) y[i] = factor * x[i];
}

template <typename T>
void SquashRowGrad(const T* dy, const T* x, int64_t n, T* dx) {
  const T squares = Dot(x, x, n);
  const T factor = capsules::SquashFactor(squares);
  const T along = capsules::SquashSlope(squares) * Dot(x, dy, n);
  for (int64_t i = 0; i < n; ++i) dx[i] = factor * dy[i] + along * x[i];
}

// The operands of routing: votes [examples, inputs, capsules * dimension].
struct Extents {
  explicit Extents(const KernelCall& call, int votes)
      : examples(call.inputs[votes].extents[0]),
        inputs(call.inputs[votes].extents[1]),
        columns(call.inputs[votes].columns),
        capsules(call.attributes->heads),
        dimension(columns / capsules),
        iterations(call.attributes->iterations) {}

  int64_t examples, inputs, columns, capsules, dimension, iterations;
};

// c_j = softmax_j(u_j . agreed_j): the logits are sums over iterations of u . v, `agreed` the sum
// of the v.
template <typename T>
void Coefficients(const Extents& e, const T* votes, const T* agreed, T* c) {
  T largest = 0;
  for (int64_t j = 0; j < e.capsules; ++j) {
    c[j] = Dot(votes + j * e.dimension, agreed + j * e.dimension, e.dimension);
    largest = j == 0 ? c[0] : math::Max(largest, c[j]);
  }
  T sum = 0;
  for (int64_t j = 0; j < e.capsules; ++j) {
    c[j] = math::Exp(c[j] - largest);
    sum += c[j];
  }
  for (int64_t j = 0; j < e.capsules; ++j) c[j] /= sum;
}

// agreed = sum over iterations before t of what they squashed, squashed; v: scratch [columns].
template <typename T>
void AgreedBefore(const Extents& e, const T* sums, int64_t t, T* v, T* agreed) {
  for (int64_t i = 0; i < e.columns; ++i) agreed[i] = 0;
  for (int64_t before = 0; before < t; ++before) {
    for (int64_t j = 0; j < e.columns; j += e.dimension) {
      SquashRow(sums + before * e.columns + j, e.dimension, v + j);
    }
    for (int64_t i = 0; i < e.columns; ++i) agreed[i] += v[i];
  }
}

// Backwards through one iteration of an example.
template <typename T>
struct BackIteration {
  const Extents& e;
  const T* votes;
  T* dvotes;
  T* dlogits;  // [inputs, capsules]: of the logits after this iteration, then of those before it
  T* agreed;   // [columns]
  T* v;        // [columns]: what the iteration gave
  T* dv;       // [columns]
  T* ds;       // [columns]
  T* c;        // [capsules]
  T* dc;       // [capsules]

  // What reaches v by the logits that it raised.
  void GatherFromLogits() {
    for (int64_t k = 0; k < e.columns; ++k) {
      dv[k] = 0;
      for (int64_t i = 0; i < e.inputs; ++i) {
        dv[k] += dlogits[i * e.capsules + k / e.dimension] * votes[i * e.columns + k];
      }
    }
  }

  void Run(const T* sums, bool first, bool last) {
    for (int64_t j = 0; j < e.columns; j += e.dimension) {
      SquashRow(sums + j, e.dimension, v + j);
      SquashRowGrad(dv + j, sums + j, e.dimension, ds + j);
    }
    for (int64_t i = 0; i < e.inputs; ++i) {
      const T* u = votes + i * e.columns;
      T* du = dvotes + i * e.columns;
      T* db = dlogits + i * e.capsules;
      Coefficients(e, u, agreed, c);
      T mean = 0;
      for (int64_t j = 0; j < e.capsules; ++j) {
        dc[j] = Dot(u + j * e.dimension, ds + j * e.dimension, e.dimension);
        mean += c[j] * dc[j];
      }
      for (int64_t k = 0; k < e.columns; ++k) {
        const int64_t j = k / e.dimension;
        du[k] = (last ? T(0) : du[k] + db[j] * v[k]) + c[j] * ds[k];
      }
      for (int64_t j = 0; j < e.capsules && !first; ++j) {
        db[j] = (last ? T(0) : db[j]) + c[j] * (dc[j] - mean);
      }
    }
  }
};

}  // namespace

template <typename T>
void Squash(const KernelCall& call, const RunState&) {
  const int64_t n = call.inputs[0].columns;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    SquashRow(In<T>(call, 0) + row * n, n, Out<T>(call, 0) + row * n);
  }
}
BEAMLINE_INSTANTIATE(Squash)

template <typename T>
void SquashGrad(const KernelCall& call, const RunState&) {
  const int64_t n = call.inputs[1].columns;
  for (int64_t row = 0; row < call.inputs[1].rows; ++row) {
    SquashRowGrad(In<T>(call, 0) + row * n, In<T>(call, 1) + row * n, n, Out<T>(call, 0) + row * n);
  }
}
BEAMLINE_INSTANTIATE(SquashGrad)

template <typename T>
void RowLength(const KernelCall& call, const RunState&) {
  const int64_t n = call.inputs[0].columns;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T* x = In<T>(call, 0) + row * n;
    Out<T>(call, 0)[row] = math::Sqrt(Dot(x, x, n));
  }
}
BEAMLINE_INSTANTIATE(RowLength)

template <typename T>
void RowLengthGrad(const KernelCall& call, const RunState&) {
  const int64_t n = call.inputs[1].columns;
  for (int64_t row = 0; row < call.inputs[1].rows; ++row) {
    const T slope = In<T>(call, 0)[row] * capsules::LengthSlope(In<T>(call, 2)[row]);
    for (int64_t i = row * n; i < (row + 1) * n; ++i)
      Out<T>(call, 0)[i] = slope * In<T>(call, 1)[i];
  }
}
BEAMLINE_INSTANTIATE(RowLengthGrad)

template <typename T>
void Votes(const KernelCall& call, const RunState&) {
  const int64_t inputs = call.inputs[1].extents[0];
  const int64_t depth = call.inputs[0].columns;
  const int64_t n = call.inputs[1].columns;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T* u = In<T>(call, 0) + row * depth;
    const T* weight = In<T>(call, 1) + row % inputs * depth * n;
    for (int64_t j = 0; j < n; ++j) {
      T sum = 0;
      for (int64_t k = 0; k < depth; ++k) sum += u[k] * weight[k * n + j];
      Out<T>(call, 0)[row * n + j] = sum;
    }
  }
}
BEAMLINE_INSTANTIATE(Votes)

// du = dy W^T; dW = sum over examples of u^T dy.
template <typename T>
void VotesGrad(const KernelCall& call, const RunState&) {
  const int64_t inputs = call.inputs[2].extents[0];
  const int64_t depth = call.inputs[1].columns;
  const int64_t n = call.inputs[2].columns;
  T* dweight = Out<T>(call, 1);
  for (int64_t i = 0; i < call.inputs[2].elements; ++i) dweight[i] = 0;
  for (int64_t row = 0; row < call.inputs[1].rows; ++row) {
    const T* dy = In<T>(call, 0) + row * n;
    const int64_t first = row % inputs * depth;
    for (int64_t k = 0; k < depth; ++k) {
      const T u = In<T>(call, 1)[row * depth + k];
      Out<T>(call, 0)[row * depth + k] = Dot(dy, In<T>(call, 2) + (first + k) * n, n);
      for (int64_t j = 0; j < n; ++j) dweight[(first + k) * n + j] += u * dy[j];
    }
  }
}
BEAMLINE_INSTANTIATE(VotesGrad)

template <typename T>
void Routing(const KernelCall& call, const RunState& run) {
  const Extents e(call, 0);
  T* agreed = reinterpret_cast<T*>(run.shared_scratch);
  T* c = agreed + e.columns;
  for (int64_t b = 0; b < e.examples; ++b) {
    const T* votes = In<T>(call, 0) + b * e.inputs * e.columns;
    T* v = Out<T>(call, 0) + b * e.columns;
    for (int64_t k = 0; k < e.columns; ++k) agreed[k] = 0;
    for (int64_t t = 0; t < e.iterations; ++t) {
      T* sums = Out<T>(call, 1) + (b * e.iterations + t) * e.columns;
      for (int64_t k = 0; k < e.columns; ++k) sums[k] = 0;
      for (int64_t i = 0; i < e.inputs; ++i) {
        const T* u = votes + i * e.columns;
        Coefficients(e, u, agreed, c);
        for (int64_t k = 0; k < e.columns; ++k) sums[k] += c[k / e.dimension] * u[k];
      }
      for (int64_t k = 0; k < e.columns; k += e.dimension) {
        SquashRow(sums + k, e.dimension, v + k);
      }
      for (int64_t k = 0; k < e.columns; ++k) agreed[k] += v[k];
    }
  }
}
BEAMLINE_INSTANTIATE(Routing)

// From the last iteration to the first. Iteration t turns logits b into c, s = sum c u and v, and
// hands on b + u . v: so b's gradient passes on beside what c hands it, and reaches u and v.
template <typename T>
void RoutingGrad(const KernelCall& call, const RunState& run) {
  const Extents e(call, 1);
  T* dlogits = reinterpret_cast<T*>(run.shared_scratch);
  T* agreed = dlogits + e.inputs * e.capsules;
  T* v = agreed + e.columns;
  T* dv = v + e.columns;
  T* ds = dv + e.columns;
  T* c = ds + e.columns;
  for (int64_t b = 0; b < e.examples; ++b) {
    const int64_t first = b * e.inputs * e.columns;
    BackIteration<T> back = {
        e, In<T>(call, 1) + first, Out<T>(call, 0) + first, dlogits, agreed, v, dv, ds,
        c, c + e.capsules};
    const T* sums = In<T>(call, 2) + b * e.iterations * e.columns;
    for (int64_t t = e.iterations - 1; t >= 0; --t) {
      const bool last = t == e.iterations - 1;
      if (!last) back.GatherFromLogits();
      for (int64_t k = 0; k < e.columns && last; ++k) dv[k] = In<T>(call, 0)[b * e.columns + k];
      AgreedBefore(e, sums, t, v, agreed);
      back.Run(sums + t * e.columns, t == 0, last);
    }
  }
}
BEAMLINE_INSTANTIATE(RoutingGrad)

}  // namespace beamline::engine::reference
