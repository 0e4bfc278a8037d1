// Images and windows as the kernels see them: what a convolution multiplies, as a matrix.
#pragma once

#include "engine/backend/cuda/divide.h"
#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/product.h"

namespace beamline::engine::cuda {

// [batch, height, width, channels], or [batch, width, channels] with height 1.
struct Image {
  explicit Image(const Operand& operand)
      : batch(operand.extents[0]),
        height(operand.rank == 3 ? 1 : operand.extents[operand.rank - 3]),
        width(operand.extents[operand.rank - 2]),
        channels(operand.columns) {}

  int64_t batch, height, width, channels;
};

// How a window moves over images below 2^31 elements. Windows without groups.
struct WindowWalk {
  WindowWalk(const Image& x, const Image& y, const Window& window)
      : height(static_cast<int>(x.height)),
        width(static_cast<int>(x.width)),
        channels(x.channels),
        kernel_width(window.kernel[1]),
        out_height(y.height),
        out_width(y.width) {
    for (int axis = 0; axis < 2; ++axis) {
      stride[axis] = static_cast<int>(window.stride[axis]);
      low[axis] = static_cast<int>(window.low[axis]);
      dilation[axis] = static_cast<int>(window.dilation[axis]);
      base[axis] = static_cast<int>(window.base[axis]);
    }
  }

  // Where the window of an output position begins. Positions are in order of (batch, row, column).
  struct Corner {
    int image;  // first element of the example
    int row, column;
  };
  BEAMLINE_DEVICE Corner CornerOf(int position) const {
    const int out_row = out_width.Divide(position);
    const int example = out_height.Divide(out_row);
    return {example * height * width * channels.divisor(),
            (out_row - example * out_height.divisor()) * stride[0] - low[0],
            (position - out_row * out_width.divisor()) * stride[1] - low[1]};
  }

  // A tap of the window, and a channel. k counts the taps and, within each, the channels.
  struct Tap {
    int row, column;  // from the corner
    int channel;
  };
  BEAMLINE_DEVICE Tap TapOf(int k) const {
    const int tap = channels.Divide(k);
    const int row = kernel_width.Divide(tap);
    return {row * dilation[0], (tap - row * kernel_width.divisor()) * dilation[1],
            k - tap * channels.divisor()};
  }

  // The element that a tap looks at, or -1: padding.
  BEAMLINE_DEVICE int Find(const Corner& corner, const Tap& tap) const {
    int row = corner.row + tap.row;
    int column = corner.column + tap.column;
    if (base[0] > 1) {
      if (row % base[0] != 0) return -1;
      row /= base[0];
    }
    if (base[1] > 1) {
      if (column % base[1] != 0) return -1;
      column /= base[1];
    }
    const bool inside = static_cast<unsigned>(row) < static_cast<unsigned>(height) &&
                        static_cast<unsigned>(column) < static_cast<unsigned>(width);
    return inside ? corner.image + (row * width + column) * channels.divisor() + tap.channel : -1;
  }

  int height, width;
  Divider channels, kernel_width, out_height, out_width;
  int stride[2], low[2], dilation[2], base[2];
};

// The elements of x that each output position sees, as an operand of Product whose outer places are
// the positions; 0 where a tap looks at padding. Vectors of 4 for multiples of 4 channels.
template <int kWidth>
struct Windows {
  static constexpr bool kInnerFast = true;
  static constexpr int kVector = kWidth;
  static constexpr bool kNarrow = true;
  using Place = WindowWalk::Corner;

  const float* data;
  WindowWalk walk;

  BEAMLINE_DEVICE Place At(int position) const { return walk.CornerOf(position); }
  BEAMLINE_DEVICE void Load(const Place& place, int k, float* to) const {
    const int at = walk.Find(place, walk.TapOf(k));
    if (at >= 0) return LoadVector<kWidth>(data + at, to);
    for (int i = 0; i < kWidth; ++i) to[i] = 0.0f;
  }
};

// The same with taps and channels as outer places, positions along k: for the weight's gradient.
template <int kWidth>
struct TransposedWindows {
  static constexpr bool kInnerFast = false;
  static constexpr int kVector = kWidth;
  static constexpr bool kNarrow = true;
  using Place = WindowWalk::Tap;

  const float* data;
  WindowWalk walk;

  BEAMLINE_DEVICE Place At(int k) const { return walk.TapOf(k); }
  BEAMLINE_DEVICE void Load(const Place& place, int position, float* to) const {
    const int at = walk.Find(walk.CornerOf(position), place);
    if (at >= 0) return LoadVector<kWidth>(data + at, to);
    for (int i = 0; i < kWidth; ++i) to[i] = 0.0f;
  }
};

}  // namespace beamline::engine::cuda
