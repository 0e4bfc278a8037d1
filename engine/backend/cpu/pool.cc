// Maximum and mean over windows. Channels are worked on side by side, a vector at a time; images
// are shared between threads.
#include "engine/backend/cpu/columns.h"
#include "engine/backend/cpu/image.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// The taps of an output position that look at elements of x: [row, last_row) by
// [column, last_column).
struct Taps {
  int64_t row, last_row;
  int64_t column, last_column;

  int64_t count() const { return (last_row - row) * (last_column - column); }
};

inline __attribute__((always_inline)) Taps TapsOf(const Window& w, const Image& x, int64_t row,
                                                  int64_t column) {
  const int64_t first_row = row * w.stride[0] - w.low[0];
  const int64_t first_column = column * w.stride[1] - w.low[1];
  return {Larger(0, first_row), Smaller(x.extent[0], first_row + w.kernel[0]),
          Larger(0, first_column), Smaller(x.extent[1], first_column + w.kernel[1])};
}

// body(image, row) for the rows of all images, on the pool's threads; `cost` is per element.
template <typename Body>
void ForRows(const RunState& run, const Image& image, int64_t cost, const Body& body) {
  ForTiles(run, image.batch * image.extent[0], image.batch * image.elements() * cost,
           [&](int64_t tile) { body(tile / image.extent[0], tile % image.extent[0]); });
}

// body(element of the image, of the first channel; number of the tap as a vector), in order.
template <typename Body>
inline __attribute__((always_inline)) void ForTaps(const Image& x, const Taps& taps,
                                                   const Body& body) {
  float number = 0;  // small, so exact
  for (int64_t row = taps.row; row < taps.last_row; ++row) {
    int64_t at = (row * x.extent[1] + taps.column) * x.channels;
    for (int64_t column = taps.column; column < taps.last_column; ++column, at += x.channels) {
      body(at, Broadcast(number));
      number += 1;
    }
  }
}

struct Largest {
  Vector best;
  Vector at;  // number of the tap
};

// The first maximum of a window in a vector of channels.
template <typename LoadVector>
inline __attribute__((always_inline)) Largest LargestOf(const Image& x, const Taps& taps,
                                                        const float* image,
                                                        const LoadVector& load) {
  Largest largest = {load(image + (taps.row * x.extent[1] + taps.column) * x.channels),
                     Broadcast(0.0f)};
  ForTaps(
      x, taps, [&](int64_t at, Vector number) __attribute__((always_inline)) {
        TakeLarger(load(image + at), number, &largest.best, &largest.at);
      });
  return largest;
}

// body(taps, first element of dy) for all positions of one image of dy, in order.
template <typename Body>
inline __attribute__((always_inline)) void ForWindows(const Window& w, const Image& x,
                                                      const Image& dy, const Body& body) {
  int64_t at = 0;
  for (int64_t row = 0; row < dy.extent[0]; ++row) {
    for (int64_t column = 0; column < dy.extent[1]; ++column, at += dy.channels) {
      body(TapsOf(w, x, row, column), at);
    }
  }
}

}  // namespace

void MaxPool(const KernelCall& call, const RunState& run) {
  const Window& w = call.attributes->window;
  const Image x = ImageOf(call.inputs[0]);
  const Image y = ImageOf(call.outputs[0]);
  ForRows(run, y, 2 * w.kernel[0] * w.kernel[1], [&](int64_t b, int64_t row) {
    const float* image = In(call, 0) + b * x.elements();
    float* out = Out(call, 0) + b * y.elements() + row * y.row_elements();
    for (int64_t column = 0; column < y.extent[1]; ++column, out += y.channels) {
      const Taps taps = TapsOf(w, x, row, column);
      ForVectors(
          y.channels, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
            store(out + c, LargestOf(x, taps, image + c, load).best);
          });
    }
  });
}

void MaxPoolGrad(const KernelCall& call, const RunState& run) {
  const Window& w = call.attributes->window;
  const Image dy = ImageOf(call.inputs[0]);
  const Image x = ImageOf(call.inputs[1]);
  const int64_t operations = call.inputs[0].elements * w.kernel[0] * w.kernel[1] * 4;
  ForTiles(run, x.batch, operations, [&](int64_t b) {
    const float* image = In(call, 1) + b * x.elements();
    const float* from = In(call, 0) + b * dy.elements();
    float* dx = Out(call, 0) + b * x.elements();
    Fill(dx, 0, x.elements(), [](int64_t) { return 0.0f; });
    ForWindows(
        w, x, dy, [&](const Taps& taps, int64_t window) __attribute__((always_inline)) {
          ForVectors(
              x.channels, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
                const Vector upstream = load(from + window + c);
                const Vector first = LargestOf(x, taps, image + c, load).at;
                ForTaps(
                    x, taps, [&](int64_t at, Vector number) __attribute__((always_inline)) {
                      store(dx + at + c, PlusWhere(load(dx + at + c), upstream, number, first));
                    });
              });
        });
  });
}

void AveragePool(const KernelCall& call, const RunState& run) {
  const Window& w = call.attributes->window;
  const Image x = ImageOf(call.inputs[0]);
  const Image y = ImageOf(call.outputs[0]);
  ForRows(run, y, w.kernel[0] * w.kernel[1], [&](int64_t b, int64_t row) {
    const float* image = In(call, 0) + b * x.elements();
    float* out = Out(call, 0) + b * y.elements() + row * y.row_elements();
    for (int64_t column = 0; column < y.extent[1]; ++column, out += y.channels) {
      const Taps taps = TapsOf(w, x, row, column);
      const auto count = static_cast<float>(taps.count());
      ForVectors(
          y.channels, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
            Vector sum = Broadcast(0.0f);
            ForTaps(
                x, taps, [&](int64_t at, Vector) __attribute__((always_inline)) {
                  sum = Plus(sum, load(image + at + c));
                });
            store(out + c, sum);
          });
      Fill(out, 0, y.channels, [&](int64_t c) { return out[c] / count; });
    }
  });
}

void AveragePoolGrad(const KernelCall& call, const RunState& run) {
  const Window& w = call.attributes->window;
  const Image dy = ImageOf(call.inputs[0]);
  const Image x = ImageOf(call.outputs[0]);
  const int64_t operations = call.inputs[0].elements * w.kernel[0] * w.kernel[1] * 2;
  ForTiles(run, x.batch, operations, [&](int64_t b) {
    const float* from = In(call, 0) + b * dy.elements();
    float* dx = Out(call, 0) + b * x.elements();
    Fill(dx, 0, x.elements(), [](int64_t) { return 0.0f; });
    ForWindows(
        w, x, dy, [&](const Taps& taps, int64_t window) __attribute__((always_inline)) {
          const auto count = static_cast<float>(taps.count());
          ForTaps(
              x, taps, [&](int64_t at, Vector) __attribute__((always_inline)) {
                float* to = dx + at;
                Fill(to, 0, x.channels,
                     [&](int64_t c) { return to[c] + from[window + c] / count; });
              });
        });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
