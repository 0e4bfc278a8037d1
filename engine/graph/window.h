// Arithmetic of sliding windows.
#pragma once

#include <cstdint>

#include "engine/core/shape.h"
#include "engine/graph/op.h"

namespace beamline::engine {

// Extent of an image's axis, 0 height or 1 width. [batch, steps, channels] has height 1.
int64_t ImageExtent(const Shape& image, int axis);

// [batch, height, width, channels] as `like` is shaped, or [batch, width, channels].
Shape ImageShape(const Shape& like, int64_t height, int64_t width, int64_t channels);

// Positions of the window on an axis of `extent` elements: 0 or less if it does not fit.
int64_t WindowPositions(const Window& window, int axis, int64_t extent);

// The window of the gradient by x of a convolution from x to y: a convolution from dy to dx. Its
// own gradient has the window of the first one, but that `high` leaves out what no window saw.
Window GradientWindow(const Window& window, const Shape& x, const Shape& y);

// Padding with which the output has ceil(extent / stride) positions (of the transposed convolution:
// extent * stride); the odd one of the two goes to the end.
void SetSamePadding(Window* window, int axis, int64_t extent);

}  // namespace beamline::engine
