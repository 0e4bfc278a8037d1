#include "engine/graph/window.h"

#include <algorithm>

namespace beamline::engine {
namespace {

// Places that `positions` take when they stand `step` apart.
int64_t Spread(int64_t positions, int64_t step) { return (positions - 1) * step + 1; }

}  // namespace

int64_t ImageExtent(const Shape& image, int axis) {
  if (axis == 1) return image.dim(-2);
  return image.rank() == 3 ? 1 : image.dim(-3);
}

Shape ImageShape(const Shape& like, int64_t height, int64_t width, int64_t channels) {
  if (like.rank() == 3) return Shape({like.dim(0), width, channels});
  return Shape({like.dim(0), height, width, channels});
}

int64_t WindowPositions(const Window& window, int axis, int64_t extent) {
  const int64_t places = Spread(extent, window.base[axis]) + window.low[axis] + window.high[axis];
  const int64_t reach = Spread(window.kernel[axis], window.dilation[axis]);
  if (places < reach) return 0;
  return (places - reach) / window.stride[axis] + 1;
}

Window GradientWindow(const Window& window, const Shape& x, const Shape& y) {
  Window gradient = window;
  gradient.flip = !window.flip;
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t reach = Spread(window.kernel[axis], window.dilation[axis]);
    const int64_t in = Spread(ImageExtent(x, axis), window.base[axis]);
    const int64_t out = Spread(ImageExtent(y, axis), window.stride[axis]);
    gradient.stride[axis] = window.base[axis];
    gradient.base[axis] = window.stride[axis];
    gradient.low[axis] = reach - 1 - window.low[axis];
    gradient.high[axis] = in + reach - 1 - out - gradient.low[axis];
  }
  return gradient;
}

void SetSamePadding(Window* window, int axis, int64_t extent) {
  const int64_t reach = Spread(window->kernel[axis], window->dilation[axis]);
  const int64_t in = window->flip ? extent * window->base[axis] : extent;
  const int64_t step = window->flip ? window->base[axis] : window->stride[axis];
  const int64_t positions = (in + step - 1) / step;
  const int64_t total = std::max<int64_t>(0, Spread(positions, step) + reach - 1 - in);
  window->low[axis] = total / 2;
  window->high[axis] = total - total / 2;
  if (!window->flip) return;
  // Those are the padding of the convolution whose transpose this is.
  window->low[axis] = reach - 1 - total / 2;
  window->high[axis] = in + reach - 1 - Spread(extent, step) - window->low[axis];
}

}  // namespace beamline::engine
