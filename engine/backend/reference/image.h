// Images and windows as the reference kernels see them.
#pragma once

#include "engine/backend/backend.h"

namespace beamline::engine::reference {

// [batch, height, width, channels], or [batch, width, channels] with height 1.
struct Image {
  explicit Image(const Operand& operand)
      : batch(operand.extents[0]),
        extent{operand.rank == 3 ? 1 : operand.extents[operand.rank - 3],
               operand.extents[operand.rank - 2]},
        channels(operand.columns) {}

  int64_t At(int64_t b, int64_t row, int64_t column, int64_t channel) const {
    return ((b * extent[0] + row) * extent[1] + column) * channels + channel;
  }

  int64_t batch;
  int64_t extent[2];
  int64_t channels;
};

// The element of the input that tap `k` of output `position` looks at, or -1: padding.
inline int64_t Looked(const Window& window, int axis, int64_t extent, int64_t position, int64_t k) {
  const int64_t place =
      position * window.stride[axis] + k * window.dilation[axis] - window.low[axis];
  if (place < 0 || place % window.base[axis] != 0) return -1;
  return place / window.base[axis] < extent ? place / window.base[axis] : -1;
}

// body(b, row, column) for each position of the image, in order.
template <typename Body>
void ForPositions(const Image& image, const Body& body) {
  for (int64_t b = 0; b < image.batch; ++b) {
    for (int64_t row = 0; row < image.extent[0]; ++row) {
      for (int64_t column = 0; column < image.extent[1]; ++column) body(b, row, column);
    }
  }
}

// body(kernel row, kernel column, input row, input column) for each tap of the window at output
// position (row, column) that looks at an element of x, in order.
template <typename Body>
void ForTaps(const Window& window, const Image& x, int64_t row, int64_t column, const Body& body) {
  for (int64_t k = 0; k < window.kernel[0]; ++k) {
    const int64_t i = Looked(window, 0, x.extent[0], row, k);
    for (int64_t l = 0; i >= 0 && l < window.kernel[1]; ++l) {
      const int64_t j = Looked(window, 1, x.extent[1], column, l);
      if (j >= 0) body(k, l, i, j);
    }
  }
}

}  // namespace beamline::engine::reference
