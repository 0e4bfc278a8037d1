// Rotary positions, and lengths of padded rows.
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/rows.h"

namespace beamline::engine::cuda {

void Rotary(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float* cosines = In(call, 1);
  const float* sines = In(call, 2);
  float* y = Out(call, 0);
  const int64_t columns = call.inputs[0].columns;
  const int64_t steps = call.inputs[1].rows;
  const int64_t half = call.inputs[1].columns;
  const int64_t turned = call.attributes->heads * half;
  const float direction = call.attributes->inverse ? -1.0f : 1.0f;
  // A pair of columns each.
  Cells(run, call.inputs[0].rows, (columns + 1) / 2, [=] BEAMLINE_LAMBDA(int64_t row, int64_t i) {
    const float* from = x + row * columns + 2 * i;
    float* to = y + row * columns + 2 * i;
    if (i >= turned) {
      to[0] = from[0];
      if (2 * i + 1 < columns) to[1] = from[1];
      return;
    }
    const int64_t angle = row % steps * half + i % half;
    const float cos = cosines[angle];
    const float sin = direction * sines[angle];
    const float first = from[0];
    const float second = from[1];
    to[0] = math::Fma(first, cos, -(second * sin));
    to[1] = math::Fma(first, sin, second * cos);
  });
}

namespace {

struct Length {
  const int32_t* codes;
  int32_t* lengths;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const int32_t* from = codes + row * columns;
    const int64_t length =
        group.Max(columns, int64_t{0}, [&](int64_t j) { return from[j] < 0 ? int64_t{0} : j + 1; });
    group.Once([&] { lengths[row] = static_cast<int32_t>(length); });
  }
};

}  // namespace

void Lengths(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  EachRow(run, call.inputs[0].rows, columns,
          Length{In<int32_t>(call, 0), Out<int32_t>(call, 0), columns});
}

}  // namespace beamline::engine::cuda
