// Ops on the edges of a graph. A row's edges are visited in order by one thread.
#include "engine/backend/cpu/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

const int32_t* Codes(const KernelCall& call, int i) {
  return static_cast<const int32_t*>(call.inputs[i].data);
}

// body(row) for each row, in pieces of kPiece rows.
template <typename Body>
void ForRows(const RunState& run, int64_t rows, int64_t operations, const Body& body) {
  constexpr int64_t kPiece = 64;
  ForTiles(run, (rows + kPiece - 1) / kPiece, operations, [&](int64_t piece) {
    const int64_t end = (piece + 1) * kPiece < rows ? (piece + 1) * kPiece : rows;
    for (int64_t row = piece * kPiece; row < end; ++row) body(row);
  });
}

}  // namespace

void SparseMatMul(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.inputs[1].columns;
  const int64_t width = columns / heads;
  const float* x = In(call, 0);
  const float* weights = In(call, 1);
  const int32_t* offsets = Codes(call, 2);
  const int32_t* to = Codes(call, 3);
  const int64_t edges = call.inputs[1].rows;
  ForRows(run, call.outputs[0].rows, edges * columns, [&](int64_t i) {
    float* y = Out(call, 0) + i * columns;
    for (int64_t j = 0; j < columns; ++j) y[j] = 0;
    for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      const float* from = x + to[k] * columns;
      for (int64_t h = 0; h < heads; ++h) {
        const float w = weights[k * heads + h];
#pragma GCC ivdep
        for (int64_t j = h * width; j < (h + 1) * width; ++j) y[j] = math::Fma(w, from[j], y[j]);
      }
    }
  });
}

void EdgeDot(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.outputs[0].columns;
  const int64_t width = columns / heads;
  const int32_t* offsets = Codes(call, 2);
  const int32_t* to = Codes(call, 3);
  ForRows(run, call.inputs[0].rows, call.outputs[0].rows * columns, [&](int64_t i) {
    for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      for (int64_t h = 0; h < heads; ++h) {
        const float* dy = In(call, 0) + i * columns + h * width;
        const float* x = In(call, 1) + to[k] * columns + h * width;
        Out(call, 0)[k * heads + h] = LaneSum(width, [&](int64_t f) { return dy[f] * x[f]; });
      }
    }
  });
}

void EdgeAdd(const KernelCall& call, const RunState& run) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 2);
  const int32_t* to = Codes(call, 3);
  ForRows(run, call.inputs[0].rows, call.outputs[0].elements, [&](int64_t i) {
    const float* a = In(call, 0) + i * heads;
    for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      const float* b = In(call, 1) + to[k] * heads;
      float* y = Out(call, 0) + k * heads;
      for (int64_t h = 0; h < heads; ++h) y[h] = a[h] + b[h];
    }
  });
}

void EdgeSum(const KernelCall& call, const RunState& run) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 1);
  const int32_t* edges = call.inputs_count > 2 ? Codes(call, 2) : nullptr;
  ForRows(run, call.outputs[0].rows, call.inputs[0].elements, [&](int64_t i) {
    float* y = Out(call, 0) + i * heads;
    for (int64_t h = 0; h < heads; ++h) y[h] = 0;
    for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      const float* w = In(call, 0) + (edges == nullptr ? k : edges[k]) * heads;
      for (int64_t h = 0; h < heads; ++h) y[h] += w[h];
    }
  });
}

void EdgeSoftmax(const KernelCall& call, const RunState& run) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 1);
  const float* s = In(call, 0);
  float* y = Out(call, 0);
  ForRows(run, call.inputs[1].elements - 1, call.outputs[0].elements * 8, [&](int64_t i) {
    const int32_t begin = offsets[i];
    const int32_t end = offsets[i + 1];
    for (int64_t h = 0; h < heads && begin < end; ++h) {
      float largest = s[begin * heads + h];
      for (int32_t k = begin; k < end; ++k) largest = math::Max(largest, s[k * heads + h]);
      float sum = 0;
      for (int32_t k = begin; k < end; ++k) {
        y[k * heads + h] = math::Exp(s[k * heads + h] - largest);
        sum += y[k * heads + h];
      }
      for (int32_t k = begin; k < end; ++k) y[k * heads + h] /= sum;
    }
  });
}

void EdgeSoftmaxGrad(const KernelCall& call, const RunState& run) {
  const int64_t heads = call.outputs[0].columns;
  const int32_t* offsets = Codes(call, 2);
  const float* dy = In(call, 0);
  const float* y = In(call, 1);
  ForRows(run, call.inputs[2].elements - 1, call.outputs[0].elements * 4, [&](int64_t i) {
    for (int64_t h = 0; h < heads; ++h) {
      float dot = 0;
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        dot = math::Fma(dy[k * heads + h], y[k * heads + h], dot);
      }
      for (int32_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        Out(call, 0)[k * heads + h] = y[k * heads + h] * (dy[k * heads + h] - dot);
      }
    }
  });
}

void HeadDot(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const int64_t heads = call.outputs[0].columns;
  const int64_t width = columns / heads;
  const float* a = In(call, 1);
  ForRows(run, call.outputs[0].rows, call.inputs[0].elements, [&](int64_t i) {
    const float* x = In(call, 0) + i * columns;
    for (int64_t h = 0; h < heads; ++h) {
      Out(call, 0)[i * heads + h] =
          LaneSum(width, [&](int64_t f) { return x[h * width + f] * a[h * width + f]; });
    }
  });
}

void HeadSpread(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  const int64_t heads = call.inputs[0].columns;
  const int64_t width = columns / heads;
  const float* a = call.inputs_count > 1 ? In(call, 1) : nullptr;
  ForRows(run, call.outputs[0].rows, call.outputs[0].elements, [&](int64_t i) {
    float* y = Out(call, 0) + i * columns;
    for (int64_t h = 0; h < heads; ++h) {
      const float s = In(call, 0)[i * heads + h];
      Fill(y, h * width, (h + 1) * width, [&](int64_t j) { return a == nullptr ? s : s * a[j]; });
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
