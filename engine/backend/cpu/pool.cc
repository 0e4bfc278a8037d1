// Maximum and mean over windows. Channels are worked on side by side, kLanes at a time; images are
// shared between threads.
#include "engine/backend/cpu/image.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr int64_t kLanes = 16;

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

// body(first, width) for blocks of channels; the width is a constant where it is kLanes.
template <typename Body>
inline __attribute__((always_inline)) void ForLanes(int64_t channels, const Body& body) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, kLanes);
  if (c < channels) body(c, channels - c);
}

// body(image, row) for the rows of all images, on the pool's threads; `cost` is per element.
template <typename Body>
void ForRows(const RunState& run, const Image& image, int64_t cost, const Body& body) {
  ForTiles(run, image.batch * image.extent[0], image.batch * image.elements() * cost,
           [&](int64_t tile) { body(tile / image.extent[0], tile % image.extent[0]); });
}

// Adds dy to the first maximum of each window in a block of channels.
inline __attribute__((always_inline)) void ScatterMax(const Image& x, const Taps& taps,
                                                      const float* image, const float* dy,
                                                      float* dx, int64_t width) {
  float best[kLanes];
  float at[kLanes];  // numbers of taps: small, so exact
  const float* first = image + (taps.row * x.extent[1] + taps.column) * x.channels;
  for (int64_t j = 0; j < width; ++j) best[j] = first[j];
  for (int64_t j = 0; j < width; ++j) at[j] = 0;
  float number = 0;
  for (int64_t row = taps.row; row < taps.last_row; ++row) {
    const float* from = image + (row * x.extent[1] + taps.column) * x.channels;
    for (int64_t column = taps.column; column < taps.last_column; ++column, from += x.channels) {
      for (int64_t j = 0; j < width; ++j) {
        const bool better = from[j] > best[j] || from[j] != from[j];
        best[j] = better ? from[j] : best[j];
        at[j] = better ? number : at[j];
      }
      number += 1;
    }
  }
  number = 0;
  for (int64_t row = taps.row; row < taps.last_row; ++row) {
    float* to = dx + (row * x.extent[1] + taps.column) * x.channels;
    for (int64_t column = taps.column; column < taps.last_column; ++column, to += x.channels) {
      for (int64_t j = 0; j < width; ++j) to[j] = at[j] == number ? to[j] + dy[j] : to[j];
      number += 1;
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
      ForLanes(
          y.channels, [&](int64_t c, int64_t width) __attribute__((always_inline)) {
            float best[kLanes];
            const float* first = image + (taps.row * x.extent[1] + taps.column) * x.channels + c;
            for (int64_t j = 0; j < width; ++j) best[j] = first[j];
            for (int64_t i = taps.row; i < taps.last_row; ++i) {
              const float* from = image + (i * x.extent[1] + taps.column) * x.channels + c;
              for (int64_t k = taps.column; k < taps.last_column; ++k, from += x.channels) {
                for (int64_t j = 0; j < width; ++j) {
                  best[j] = from[j] > best[j] || from[j] != from[j] ? from[j] : best[j];
                }
              }
            }
            for (int64_t j = 0; j < width; ++j) out[c + j] = best[j];
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
    for (int64_t row = 0; row < dy.extent[0]; ++row) {
      for (int64_t column = 0; column < dy.extent[1]; ++column, from += dy.channels) {
        const Taps taps = TapsOf(w, x, row, column);
        ForLanes(
            x.channels, [&](int64_t c, int64_t width) __attribute__((always_inline)) {
              ScatterMax(x, taps, image + c, from + c, dx + c, width);
            });
      }
    }
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
      ForLanes(
          y.channels, [&](int64_t c, int64_t width) __attribute__((always_inline)) {
            float sum[kLanes] = {};
            for (int64_t i = taps.row; i < taps.last_row; ++i) {
              const float* from = image + (i * x.extent[1] + taps.column) * x.channels + c;
              for (int64_t k = taps.column; k < taps.last_column; ++k, from += x.channels) {
                for (int64_t j = 0; j < width; ++j) sum[j] += from[j];
              }
            }
            for (int64_t j = 0; j < width; ++j) out[c + j] = sum[j] / count;
          });
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
    for (int64_t row = 0; row < dy.extent[0]; ++row) {
      for (int64_t column = 0; column < dy.extent[1]; ++column, from += dy.channels) {
        const Taps taps = TapsOf(w, x, row, column);
        const auto count = static_cast<float>(taps.count());
        for (int64_t i = taps.row; i < taps.last_row; ++i) {
          for (int64_t k = taps.column; k < taps.last_column; ++k) {
            float* to = dx + (i * x.extent[1] + k) * x.channels;
            Fill(to, 0, x.channels, [&](int64_t c) { return to[c] + from[c] / count; });
          }
        }
      }
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
