// The builder methods of Graph for images and sequences: convolution, pooling, group norm.
#include "engine/core/error.h"
#include "engine/graph/graph.h"
#include "engine/graph/window.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxWindowNumber = int64_t{1} << 20;

void RequireImages(const std::string& name, const Shape& x) {
  if (x.rank() == 4 || x.rank() == 3) return;
  Fail("layer \"", name,
       "\" expects images [batch, height, width, channels] or sequences [batch, steps, channels] "
       "but gets ",
       x, ": put a reshape before it");
}

void CheckWindow(const std::string& name, const Window& window) {
  const auto check = [&](const char* what, int64_t number) {
    if (number >= 1 && number <= kMaxWindowNumber) return;
    Fail("layer \"", name, "\" has ", what, " ", number, ": set it to a number from 1 to ",
         kMaxWindowNumber);
  };
  for (int axis = 0; axis < 2; ++axis) {
    check("kernel", window.kernel[axis]);
    check("stride", window.stride[axis]);
    check("dilation", window.dilation[axis]);
    check("base dilation", window.base[axis]);
  }
  check("groups", window.groups);
}

// The shape of the output, or an Error if the window does not fit.
Shape OutputShape(const std::string& name, const Shape& x, const Window& window, int64_t channels) {
  int64_t positions[2];
  for (int axis = 0; axis < 2; ++axis) {
    positions[axis] = WindowPositions(window, axis, ImageExtent(x, axis));
    if (positions[axis] >= 1) continue;
    Fail("layer \"", name, "\" has a window of ",
         (window.kernel[axis] - 1) * window.dilation[axis] + 1, " positions, which does not fit ",
         axis == 0 ? "the height" : "the width or steps", " of its input ", x,
         ": make it smaller, or set padding to same");
  }
  return ImageShape(x, positions[0], positions[1], channels);
}

}  // namespace

Value Graph::Conv(const std::string& name, Value x, Value weight, Value bias, Activation activation,
                  const Window& window) {
  const Shape& from = shape(x);
  const Shape& kernel = shape(weight);
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  RequireImages(name, from);
  CheckWindow(name, window);
  if (kernel.rank() != 4 || kernel.dim(0) != window.kernel[0] ||
      kernel.dim(1) != window.kernel[1]) {
    Fail("layer \"", name, "\" has a weight of shape ", kernel, " but a kernel of ",
         window.kernel[0], " x ", window.kernel[1], ": they must agree");
  }
  const int64_t channels = window.flip ? kernel.dim(3) : kernel.dim(2) * window.groups;
  const int64_t units = window.flip ? kernel.dim(2) * window.groups : kernel.dim(3);
  if (from.Columns() != channels) {
    Fail("layer \"", name, "\" expects ", channels, " channels but gets ", from.Columns(),
         ": make the weight for ", from.Columns());
  }
  if (kernel.dim(3) % window.groups != 0) {
    Fail("layer \"", name, "\" has ", window.groups, " groups, which do not divide its ",
         kernel.dim(3), window.flip ? " channels" : " units", ": change one of them");
  }
  const Shape to = OutputShape(name, from, window, units);
  if (bias.valid()) RequireVector(name, "bias", bias, units);
  Attributes attributes;
  attributes.window = window;
  Value y = Append(OpKind::kConv, name, {x, weight}, {to}, attributes).outputs[0];
  if (bias.valid()) y = BiasAdd(name, y, bias);
  return Activate(name, y, activation);
}

Value Graph::Pool(const std::string& name, Value x, const Window& window, OpKind op) {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  RequireImages(name, shape(x));
  CheckWindow(name, window);
  for (int axis = 0; axis < 2; ++axis) {
    if (window.base[axis] != 1 || window.groups != 1 || window.flip) {
      Fail("layer \"", name, "\" pools and has no base dilation, groups or flip: leave them out");
    }
    if (window.low[axis] < 0 || window.high[axis] < 0 || window.dilation[axis] != 1 ||
        window.low[axis] >= window.kernel[axis] || window.high[axis] >= window.kernel[axis]) {
      Fail("layer \"", name, "\" pools with a padding of ", window.low[axis], " and ",
           window.high[axis], " around windows of ", window.kernel[axis],
           ": each must be less than the window, which has no dilation");
    }
  }
  Attributes attributes;
  attributes.window = window;
  return Append(op, name, {x}, {OutputShape(name, shape(x), window, shape(x).Columns())},
                attributes)
      .outputs[0];
}

Value Graph::MaxPool(const std::string& name, Value x, const Window& window) {
  return Pool(name, x, window, OpKind::kMaxPool);
}

Value Graph::AveragePool(const std::string& name, Value x, const Window& window) {
  return Pool(name, x, window, OpKind::kAveragePool);
}

Value Graph::Reduce(const std::string& name, Value x, Reduction reduction) {
  const Shape& from = shape(x);
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  if (from.rank() < 3 || from.NumElements() == 0) {
    Fail("layer \"", name, "\" expects [batch, positions..., channels] but gets ", from,
         ": put a reshape before it, or leave it out");
  }
  Attributes attributes;
  attributes.reduction = reduction;
  return Append(OpKind::kReduce, name, {x}, {Shape({from.dim(0), from.Columns()})}, attributes)
      .outputs[0];
}

Value Graph::GroupNorm(const std::string& name, Value x, Value gamma, Value beta, int64_t groups,
                       double epsilon) {
  const Shape& from = shape(x);
  const int64_t channels = from.Columns();
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  if (from.rank() < 2) {
    Fail("layer \"", name, "\" expects [batch, ..., channels] but gets ", from,
         ": add a reshape layer before it");
  }
  if (groups < 1 || channels % groups != 0) {
    Fail("layer \"", name, "\" has ", groups, " groups, which do not divide its ", channels,
         " channels: set groups to a divisor of ", channels);
  }
  RequireVector(name, "gamma", gamma, channels);
  RequireVector(name, "beta", beta, channels);
  Attributes attributes;
  attributes.groups = groups;
  attributes.epsilon = epsilon;
  const Shape statistics({from.dim(0), groups});
  return Append(OpKind::kGroupNorm, name, {x, gamma, beta}, {from, statistics, statistics},
                attributes)
      .outputs[0];
}

}  // namespace beamline::engine
