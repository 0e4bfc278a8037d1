// Maximum and mean over windows. The gradients are gathered: each element of the input looks for
// the windows that cover it, in order of their positions.
#include "engine/backend/cuda/image.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

// One axis of a window over an image: x has `extent` places, y `positions`. Windows of pools have
// neither dilation nor base.
struct Axis {
  Axis(const Window& window, int axis, int64_t x_extent, int64_t y_extent)
      : extent(static_cast<int>(x_extent)),
        positions(static_cast<int>(y_extent)),
        kernel(static_cast<int>(window.kernel[axis])),
        stride(static_cast<int>(window.stride[axis])),
        low(static_cast<int>(window.low[axis])) {}

  // The elements that a position looks at are [Begin, End).
  BEAMLINE_DEVICE int Begin(int position) const { return math::Max(position * stride - low, 0); }
  BEAMLINE_DEVICE int End(int position) const {
    return math::Min(position * stride - low + kernel, extent);
  }
  // The positions that look at element i are [First, Last].
  BEAMLINE_DEVICE int First(int i) const {
    const int from = i + low - kernel + 1;
    return from <= 0 ? 0 : (from + stride - 1) / stride;
  }
  BEAMLINE_DEVICE int Last(int i) const { return math::Min((i + low) / stride, positions - 1); }

  int extent, positions, kernel, stride, low;
};

// Images below 2^31 rows.
struct Pool {
  Pool(const Window& window, const Operand& x, const Operand& y)
      : rows(window, 0, Image(x).height, Image(y).height),
        columns(window, 1, Image(x).width, Image(y).width),
        channels(x.columns),
        x_rows(rows.extent),
        x_columns(columns.extent),
        y_rows(rows.positions),
        y_columns(columns.positions) {}

  // Of an image with the last channel cut off.
  struct Place {
    int example, row, column;
  };
  BEAMLINE_DEVICE static Place At(const Divider& height, const Divider& width, int64_t number) {
    const int row = width.Divide(static_cast<int>(number));
    const int example = height.Divide(row);
    return {example, row - example * height.divisor(),
            static_cast<int>(number) - row * width.divisor()};
  }
  BEAMLINE_DEVICE Place XPlace(int64_t number) const { return At(x_rows, x_columns, number); }
  BEAMLINE_DEVICE Place YPlace(int64_t number) const { return At(y_rows, y_columns, number); }
  BEAMLINE_DEVICE int64_t XElement(int example, int row, int column, int64_t c) const {
    return (static_cast<int64_t>(example * rows.extent + row) * columns.extent + column) *
               channels +
           c;
  }
  BEAMLINE_DEVICE int64_t YElement(int example, int row, int column, int64_t c) const {
    return (static_cast<int64_t>(example * rows.positions + row) * columns.positions + column) *
               channels +
           c;
  }

  // body(place in x) for each element that the window at a position of y looks at, in order.
  template <typename Body>
  BEAMLINE_DEVICE void ForTaps(int example, int row, int column, int64_t c,
                               const Body& body) const {
    for (int i = rows.Begin(row); i < rows.End(row); ++i) {
      for (int j = columns.Begin(column); j < columns.End(column); ++j) {
        body(XElement(example, i, j, c));
      }
    }
  }
  BEAMLINE_DEVICE int Taps(int row, int column) const {
    return (rows.End(row) - rows.Begin(row)) * (columns.End(column) - columns.Begin(column));
  }
  // body(row, column of y) for each window that looks at element (i, j), in order.
  template <typename Body>
  BEAMLINE_DEVICE void ForWindows(int i, int j, const Body& body) const {
    for (int row = rows.First(i); row <= rows.Last(i); ++row) {
      for (int column = columns.First(j); column <= columns.Last(j); ++column) body(row, column);
    }
  }
  // The place of the first maximum of a window; of the last NaN if there is one.
  BEAMLINE_DEVICE int64_t Largest(const float* x, int example, int row, int column,
                                  int64_t c) const {
    int64_t best = -1;
    float largest = 0;
    ForTaps(example, row, column, c, [&](int64_t at) {
      const float value = x[at];
      if (best >= 0 && !(value > largest || value != value)) return;
      best = at;
      largest = value;
    });
    return best;
  }

  Axis rows, columns;
  int64_t channels;
  Divider x_rows, x_columns, y_rows, y_columns;
};

}  // namespace

void MaxPool(const KernelCall& call, const RunState& run) {
  const Pool pool(call.attributes->window, call.inputs[0], call.outputs[0]);
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  Cells(run, call.outputs[0].rows, pool.channels, [=] BEAMLINE_LAMBDA(int64_t p, int64_t c) {
    const Pool::Place at = pool.YPlace(p);
    y[p * pool.channels + c] = x[pool.Largest(x, at.example, at.row, at.column, c)];
  });
}

void MaxPoolGrad(const KernelCall& call, const RunState& run) {
  const Pool pool(call.attributes->window, call.inputs[1], call.inputs[0]);
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  float* dx = Out(call, 0);
  Cells(run, call.outputs[0].rows, pool.channels, [=] BEAMLINE_LAMBDA(int64_t p, int64_t c) {
    const Pool::Place at = pool.XPlace(p);
    const int64_t here = p * pool.channels + c;
    float sum = 0;
    pool.ForWindows(at.row, at.column, [&](int row, int column) {
      if (pool.Largest(x, at.example, row, column, c) != here) return;
      sum += dy[pool.YElement(at.example, row, column, c)];
    });
    dx[here] = sum;
  });
}

void AveragePool(const KernelCall& call, const RunState& run) {
  const Pool pool(call.attributes->window, call.inputs[0], call.outputs[0]);
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  Cells(run, call.outputs[0].rows, pool.channels, [=] BEAMLINE_LAMBDA(int64_t p, int64_t c) {
    const Pool::Place at = pool.YPlace(p);
    float sum = 0;
    pool.ForTaps(at.example, at.row, at.column, c, [&](int64_t i) { sum += x[i]; });
    y[p * pool.channels + c] = sum / static_cast<float>(pool.Taps(at.row, at.column));
  });
}

void AveragePoolGrad(const KernelCall& call, const RunState& run) {
  const Pool pool(call.attributes->window, call.outputs[0], call.inputs[0]);
  const float* dy = In(call, 0);
  float* dx = Out(call, 0);
  Cells(run, call.outputs[0].rows, pool.channels, [=] BEAMLINE_LAMBDA(int64_t p, int64_t c) {
    const Pool::Place at = pool.XPlace(p);
    float sum = 0;
    pool.ForWindows(at.row, at.column, [&](int row, int column) {
      sum += dy[pool.YElement(at.example, row, column, c)] /
             static_cast<float>(pool.Taps(row, column));
    });
    dx[p * pool.channels + c] = sum;
  });
}

}  // namespace beamline::engine::cuda
