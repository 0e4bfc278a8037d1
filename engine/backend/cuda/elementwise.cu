// Ops that treat each element, or each row, by itself.
#include "engine/backend/cuda/columns.h"
#include "engine/backend/cuda/formulas.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/random.h"

namespace beamline::engine::cuda {

void BiasAdd(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float* bias = In(call, 1);
  float* y = Out(call, 0);
  const int64_t columns = call.outputs[0].columns;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    y[i * columns + j] = x[i * columns + j] + bias[j];
  });
}

namespace {

struct SoftmaxRow {
  const float* x;
  float* y;
  int64_t columns;

  template <int kLanes>
  BEAMLINE_DEVICE void operator()(Team<kLanes>& team) const {
    const float* from = x + team.index() * columns;
    float* to = y + team.index() * columns;
    const float largest = team.Max(columns, from[0], [&](int64_t j) { return from[j]; });
    const float sum =
        team.template Sum<float>(columns, [&](int64_t j) { return math::Exp(from[j] - largest); });
    team.For(columns, [&](int64_t j) { to[j] = math::Exp(from[j] - largest) / sum; });
  }
};

// dx = y (dy - sum_j dy_j y_j)
struct SoftmaxGradRow {
  const float* dy;
  const float* y;
  float* dx;
  int64_t columns;

  template <int kLanes>
  BEAMLINE_DEVICE void operator()(Team<kLanes>& team) const {
    const int64_t first = team.index() * columns;
    const float dot =
        team.template Sum<float>(columns, [&](int64_t j) { return dy[first + j] * y[first + j]; });
    team.For(columns, [&](int64_t j) { dx[first + j] = y[first + j] * (dy[first + j] - dot); });
  }
};

}  // namespace

void Activate(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const Activation kind = call.attributes->activation;
  if (kind == Activation::kSoftmax) {
    const int64_t columns = call.outputs[0].columns;
    return Rows(run, call.outputs[0].rows, columns, SoftmaxRow{x, y, columns});
  }
  const auto alpha = static_cast<float>(call.attributes->alpha);
  Each(run, call.outputs[0].elements,
       [=] BEAMLINE_LAMBDA(int64_t i) { y[i] = ActivationOf(kind, x[i], alpha); });
}

void ActivationGrad(const KernelCall& call, const RunState& run) {
  const float* dy = In(call, 0);
  const float* saved = In(call, 1);
  float* dx = Out(call, 0);
  const Activation kind = call.attributes->activation;
  const auto alpha = static_cast<float>(call.attributes->alpha);
  Each(run, call.outputs[0].elements,
       [=] BEAMLINE_LAMBDA(int64_t i) { dx[i] = dy[i] * SlopeOf(kind, saved[i], alpha); });
}

void SoftmaxGrad(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  Rows(run, call.outputs[0].rows, columns,
       SoftmaxGradRow{In(call, 0), In(call, 1), Out(call, 0), columns});
}

Scratch ColumnSumScratch(const KernelCall& call) {
  return ColumnSumsScratch(call.inputs[0].rows, call.inputs[0].columns, 1);
}

void ColumnSum(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const int64_t columns = call.inputs[0].columns;
  ColumnSums<1>(
      run, call.inputs[0].rows, columns,
      [=] BEAMLINE_LAMBDA(int64_t i, int64_t j, float* value) { *value = x[i * columns + j]; },
      [=] BEAMLINE_LAMBDA(int64_t j, const float* sum) { y[j] = *sum; });
}

// Element i is kept if word i % 4 of Philox block (i / 4, stream, step) gives at least `rate`.
void Dropout(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float* rate = In(call, 1);
  float* y = Out(call, 0);
  const bool rescale = call.attributes->rescale;
  const int64_t elements = call.outputs[0].elements;
  Draw(run, elements, call.attributes->stream,
       [=] BEAMLINE_LAMBDA(int64_t block, const PhiloxBlock& drawn) {
         const float scale = rescale ? 1.0f / (1.0f - *rate) : 1.0f;
         for (int word = 0; word < 4; ++word) {
           const int64_t i = 4 * block + word;
           if (i >= elements) break;
           y[i] = UniformFromBits(drawn.word[word]) >= *rate ? x[i] * scale : 0.0f;
         }
       });
}

void Concat(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  float* to = Out(call, 0);
  for (int part = 0; part < call.inputs_count; ++part) {
    const float* from = In(call, part);
    const int64_t width = call.inputs[part].columns;
    Cells(run, call.outputs[0].rows, width,
          [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) { to[i * columns + j] = from[i * width + j]; });
    to += width;
  }
}

void Slice(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0) + call.attributes->begin;
  float* y = Out(call, 0);
  const int64_t width = call.outputs[0].columns;
  const int64_t columns = call.inputs[0].columns;
  Cells(run, call.outputs[0].rows, width,
        [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) { y[i * width + j] = x[i * columns + j]; });
}

void SliceGrad(const KernelCall& call, const RunState& run) {
  const float* dy = In(call, 0);
  float* dx = Out(call, 0);
  const int64_t width = call.inputs[0].columns;
  const int64_t columns = call.outputs[0].columns;
  const int64_t begin = call.attributes->begin;
  Cells(run, call.outputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const bool inside = j >= begin && j < begin + width;
    dx[i * columns + j] = inside ? dy[i * width + j - begin] : 0.0f;
  });
}

void Add(const KernelCall& call, const RunState& run) {
  const float* a = In(call, 0);
  const float* b = In(call, 1);
  float* y = Out(call, 0);
  Each(run, call.outputs[0].elements, [=] BEAMLINE_LAMBDA(int64_t i) { y[i] = a[i] + b[i]; });
}

void Multiply(const KernelCall& call, const RunState& run) {
  const float* a = In(call, 0);
  const float* b = In(call, 1);
  float* y = Out(call, 0);
  Each(run, call.outputs[0].elements, [=] BEAMLINE_LAMBDA(int64_t i) { y[i] = a[i] * b[i]; });
}

}  // namespace beamline::engine::cuda
