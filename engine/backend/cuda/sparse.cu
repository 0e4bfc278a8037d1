// Ops on the edges of a graph. A warp shares the edges of a row, so that a row with many of them
// does not hold up the rest; but for SparseMatMul, where each column is one chain over them.
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/rows.h"

namespace beamline::engine::cuda {
namespace {

// The edges of each row: [offsets[i], offsets[i + 1]).
struct Edges {
  const int32_t* offsets;
  int64_t rows;

  BEAMLINE_DEVICE int64_t First(int64_t row) const { return offsets[row]; }
  BEAMLINE_DEVICE int64_t Count(int64_t row) const { return offsets[row + 1] - offsets[row]; }
  // The row that edge k is in: the last that begins at or before it.
  BEAMLINE_DEVICE int64_t RowOf(int64_t k) const {
    int64_t low = 0;
    int64_t high = rows;
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (offsets[middle] <= k ? low : high) = middle;
    }
    return low;
  }
};

Edges EdgesOf(const KernelCall& call, int input) {
  return {In<int32_t>(call, input), call.inputs[input].elements - 1};
}

}  // namespace

void SparseMatMul(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float* weights = In(call, 1);
  const Edges edges = EdgesOf(call, 2);
  const int32_t* to = In<int32_t>(call, 3);
  float* y = Out(call, 0);
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.inputs[1].columns;
  const int64_t width = columns / heads;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const int64_t head = j / width;
    const int64_t end = edges.First(i + 1);
    float sum = 0;
    for (int64_t k = edges.First(i); k < end; ++k) {
      sum = math::Fma(weights[k * heads + head], x[to[k] * columns + j], sum);
    }
    y[i * columns + j] = sum;
  });
}

void EdgeDot(const KernelCall& call, const RunState& run) {
  constexpr int64_t kNarrow = 16;
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  const Edges edges = EdgesOf(call, 2);
  const int32_t* to = In<int32_t>(call, 3);
  float* y = Out(call, 0);
  const int64_t columns = call.inputs[0].columns;
  const int64_t count = call.outputs[0].rows;
  const int64_t heads = call.outputs[0].columns;
  const int64_t width = columns / heads;
  if (width <= kNarrow) {
    return Cells(run, count, heads, [=] BEAMLINE_LAMBDA(int64_t k, int64_t head) {
      const float* a = dy + edges.RowOf(k) * columns + head * width;
      const float* b = x + to[k] * columns + head * width;
      float sum = 0;
      for (int64_t f = 0; f < width; ++f) sum += a[f] * b[f];
      y[k * heads + head] = sum;
    });
  }
  Teams<kWarp>(run, count, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t k = team.index();
    const float* a = dy + edges.RowOf(k) * columns;
    const float* b = x + to[k] * columns;
    for (int64_t head = 0; head < heads; ++head) {
      const int64_t first = head * width;
      const float sum =
          team.Sum<float>(width, [&](int64_t f) { return a[first + f] * b[first + f]; });
      team.Once([&] { y[k * heads + head] = sum; });
    }
  });
}

void EdgeAdd(const KernelCall& call, const RunState& run) {
  const float* a = In(call, 0);
  const float* b = In(call, 1);
  const Edges edges = EdgesOf(call, 2);
  const int32_t* to = In<int32_t>(call, 3);
  float* y = Out(call, 0);
  const int64_t heads = call.outputs[0].columns;
  Cells(run, call.outputs[0].rows, heads, [=] BEAMLINE_LAMBDA(int64_t k, int64_t head) {
    y[k * heads + head] = a[edges.RowOf(k) * heads + head] + b[to[k] * heads + head];
  });
}

void EdgeSum(const KernelCall& call, const RunState& run) {
  const float* w = In(call, 0);
  const Edges edges = EdgesOf(call, 1);
  const int32_t* order = call.inputs_count > 2 ? In<int32_t>(call, 2) : nullptr;
  float* y = Out(call, 0);
  const int64_t heads = call.outputs[0].columns;
  Teams<kWarp>(run, call.outputs[0].elements, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t row = team.index() / heads;
    const int64_t head = team.index() % heads;
    const int64_t first = edges.First(row);
    const float sum = team.Sum<float>(edges.Count(row), [&](int64_t i) {
      const int64_t k = order == nullptr ? first + i : order[first + i];
      return w[k * heads + head];
    });
    team.Once([&] { y[team.index()] = sum; });
  });
}

void EdgeSoftmax(const KernelCall& call, const RunState& run) {
  const float* s = In(call, 0);
  const Edges edges = EdgesOf(call, 1);
  float* y = Out(call, 0);
  const int64_t heads = call.outputs[0].columns;
  Teams<kWarp>(run, edges.rows * heads, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t row = team.index() / heads;
    const int64_t count = edges.Count(row);
    if (count <= 0) return;
    const int64_t first = edges.First(row) * heads + team.index() % heads;
    const float* from = s + first;
    const float largest = team.Max(count, from[0], [&](int64_t k) { return from[k * heads]; });
    const float sum =
        team.Sum<float>(count, [&](int64_t k) { return math::Exp(from[k * heads] - largest); });
    team.For(count,
             [&](int64_t k) { y[first + k * heads] = math::Exp(from[k * heads] - largest) / sum; });
  });
}

void EdgeSoftmaxGrad(const KernelCall& call, const RunState& run) {
  const float* dy = In(call, 0);
  const float* y = In(call, 1);
  const Edges edges = EdgesOf(call, 2);
  float* ds = Out(call, 0);
  const int64_t heads = call.outputs[0].columns;
  Teams<kWarp>(run, edges.rows * heads, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t row = team.index() / heads;
    const int64_t count = edges.Count(row);
    const int64_t first = edges.First(row) * heads + team.index() % heads;
    const float dot = team.Sum<float>(
        count, [&](int64_t k) { return dy[first + k * heads] * y[first + k * heads]; });
    team.For(count, [&](int64_t k) {
      const int64_t at = first + k * heads;
      ds[at] = y[at] * (dy[at] - dot);
    });
  });
}

namespace {

// `row`: a row of x and a head.
struct HeadDotRow {
  const float* x;
  const float* a;
  float* y;
  int64_t heads, width;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* from = x + row * width;
    const float* by = a + row % heads * width;
    const float sum = group.template Sum<float>(width, [&](int64_t f) { return from[f] * by[f]; });
    group.Once([&] { y[row] = sum; });
  }
};

}  // namespace

void HeadDot(const KernelCall& call, const RunState& run) {
  const int64_t heads = call.outputs[0].columns;
  const int64_t width = call.inputs[0].columns / heads;
  EachRow(run, call.outputs[0].elements, width,
          HeadDotRow{In(call, 0), In(call, 1), Out(call, 0), heads, width});
}

void HeadSpread(const KernelCall& call, const RunState& run) {
  const float* s = In(call, 0);
  const float* a = call.inputs_count > 1 ? In(call, 1) : nullptr;
  float* y = Out(call, 0);
  const int64_t columns = call.outputs[0].columns;
  const int64_t heads = call.inputs[0].columns;
  const int64_t width = columns / heads;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const float of_head = s[row * heads + j / width];
    y[row * columns + j] = a != nullptr ? of_head * a[j] : of_head;
  });
}

}  // namespace beamline::engine::cuda
