// Layers of images and sequences: convolution, pooling, group norm.
#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/graph/window.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

// A reshape that makes images of rows of `features` numbers, if one is likely.
std::string LikelyReshape(int64_t features) {
  for (const int64_t channels : {1, 3}) {
    const auto side = static_cast<int64_t>(
        std::llround(std::sqrt(static_cast<double>(features) / static_cast<double>(channels))));
    if (side > 1 && side * side * channels == features) {
      return Concat("\"reshape: {shape: [", side, ", ", side, ", ", channels, "]}\"");
    }
  }
  return "\"reshape: {shape: [height, width, channels]}\"";
}

// 2 for images, 1 for sequences.
int Axes(const LayerContext& context) {
  context.RequireNumbers();
  const Shape& shape = context.shape();
  if (shape.rank() == 4) return 2;
  if (shape.rank() == 3) return 1;
  Fail("layer \"", context.name,
       "\" expects images [batch, height, width, channels] or sequences [batch, steps, channels] "
       "but gets ",
       shape, ": put ", LikelyReshape(shape.NumElements() / std::max<int64_t>(1, context.batch)),
       " before it");
}

// Writes one number of `given` to each axis of `to`; nothing if it is empty.
void Spread(const LayerContext& context, const char* what, const std::vector<int64_t>& given,
            int64_t least, int axes, int64_t* to) {
  if (given.empty()) return;
  const auto count = static_cast<int>(given.size());
  if (count != 1 && count != axes) {
    Fail("layer \"", context.name, "\" has ", count, " numbers in ", what, " but its input ",
         context.shape(), " has ", axes, axes == 1 ? " axis" : " axes",
         ": give one number, or one per axis");
  }
  for (int i = 0; i < axes; ++i) {
    const int64_t number = given[static_cast<size_t>(count == 1 ? 0 : i)];
    if (number < least || number > kMaxUnits) {
      Fail("layer \"", context.name, "\" has ", number, " in ", what, ": set it to a number from ",
           least, " to ", kMaxUnits);
    }
    to[2 - axes + i] = number;
  }
}

// Kernel, stride and dilation; not the padding.
Window WindowOf(const LayerContext& context, int axes, const std::vector<int64_t>& stride) {
  const LayerSpec& layer = context.layer;
  if (layer.kernel.empty()) {
    Fail("layer \"", context.name,
         "\" does not say how large its window is: give it one number for all axes, or one per "
         "axis");
  }
  Window window;
  Spread(context, "kernel", layer.kernel, 1, axes, window.kernel);
  Spread(context, "stride", stride, 1, axes, window.stride);
  Spread(context, "dilation", layer.dilation, 1, axes, window.dilation);
  return window;
}

Value Weight(const LayerContext& context, const Shape& shape, double fan_in, double fan_out) {
  return context.Parameter("weight", shape,
                           InitialWeight(context.layer.initializer, context.layer.activation,
                                         std::max<int64_t>(1, std::llround(fan_in)),
                                         std::max<int64_t>(1, std::llround(fan_out))));
}

void RequireGroups(const LayerContext& context, int64_t units) {
  const LayerSpec& layer = context.layer;
  const int64_t channels = context.shape().Columns();
  if (layer.groups < 1 || channels % layer.groups != 0 || units % layer.groups != 0) {
    Fail("layer \"", context.name, "\" has ", layer.groups, " groups, which do not divide its ",
         channels, " channels and ", units, " units: set groups to a common divisor of both");
  }
}

Value Pool(const LayerContext& context,
           Value (Graph::*pool)(const std::string& name, Value x, const Window& window)) {
  const LayerSpec& layer = context.layer;
  const int axes = Axes(context);
  Window window = WindowOf(context, axes, layer.stride.empty() ? layer.kernel : layer.stride);
  for (int axis = 2 - axes; layer.padding == Padding::kSame && axis < 2; ++axis) {
    SetSamePadding(&window, axis, ImageExtent(context.shape(), axis));
  }
  return (context.graph.*pool)(context.name, context.x(), window);
}

}  // namespace

Value Convolve(const LayerContext& context, int64_t units) {
  const LayerSpec& layer = context.layer;
  const int axes = Axes(context);
  RequireGroups(context, units);
  Window window = WindowOf(context, axes, layer.stride);
  window.groups = layer.groups;
  Spread(context, "pad", layer.pad, 0, axes, window.low);
  Spread(context, "pad", layer.pad, 0, axes, window.high);
  const bool same = layer.padding == Padding::kSame && layer.pad.empty();
  for (int axis = 2 - axes; same && axis < 2; ++axis) {
    SetSamePadding(&window, axis, ImageExtent(context.shape(), axis));
  }
  const int64_t seen = context.shape().Columns() / layer.groups;
  const int64_t taps = window.kernel[0] * window.kernel[1];
  const auto fan_in = static_cast<double>(taps * seen);
  const auto fan_out = static_cast<double>(taps * units / layer.groups);
  const Value weight =
      Weight(context, {window.kernel[0], window.kernel[1], seen, units}, fan_in, fan_out);
  const Value bias = layer.bias ? context.Parameter("bias", {units}, {}) : Value();
  return context.graph.Conv(context.name, context.x(), weight, bias, layer.activation, window);
}

Value BuildConv(const LayerContext& context) { return Convolve(context, context.Units()); }

// The window is that of the gradient by x of the convolution that the layer is the transpose of.
Value BuildConvTranspose(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  const int axes = Axes(context);
  const int64_t units = context.Units();
  RequireGroups(context, units);
  Window window = WindowOf(context, axes, {});
  window.groups = layer.groups;
  window.flip = true;
  Spread(context, "stride", layer.stride, 1, axes, window.base);
  int64_t pad[2] = {0, 0};
  Spread(context, "pad", layer.pad, 0, axes, pad);
  const bool same = layer.padding == Padding::kSame && layer.pad.empty();
  double taps = 1;  // that an output sees
  for (int axis = 0; axis < 2; ++axis) {
    const int64_t ends = (window.kernel[axis] - 1) * window.dilation[axis] - pad[axis];
    window.low[axis] = window.high[axis] = ends;
    if (same && axis >= 2 - axes) {
      SetSamePadding(&window, axis, ImageExtent(context.shape(), axis));
    }
    taps *= static_cast<double>(window.kernel[axis]) / static_cast<double>(window.base[axis]);
  }
  const int64_t channels = context.shape().Columns();
  const int64_t all_taps = window.kernel[0] * window.kernel[1];
  const Value weight =
      Weight(context, {window.kernel[0], window.kernel[1], units / layer.groups, channels},
             taps * static_cast<double>(channels / layer.groups),
             static_cast<double>(all_taps * units / layer.groups));
  const Value bias = layer.bias ? context.Parameter("bias", {units}, {}) : Value();
  return context.graph.Conv(context.name, context.x(), weight, bias, layer.activation, window);
}

Value BuildMaxPool(const LayerContext& context) { return Pool(context, &Graph::MaxPool); }

Value BuildAveragePool(const LayerContext& context) { return Pool(context, &Graph::AveragePool); }

Value BuildGlobalPool(const LayerContext& context) {
  Axes(context);
  if (context.lengths.valid() && context.shape().rank() == 3) {
    if (context.layer.reduction != Reduction::kLast) {
      Fail("layer \"", context.name, "\" pools steps beyond the end of rows that have lengths of ",
           "their own: let it take the last one, or a recurrent layer without sequence");
    }
    return context.graph.SequenceLast(context.name, context.x(), context.lengths, false);
  }
  return context.graph.Reduce(context.name, context.x(), context.layer.reduction);
}

Value BuildGroupNorm(const LayerContext& context) {
  const LayerSpec& layer = context.layer;
  context.RequireNumbers();
  if (!(layer.epsilon > 0)) {
    Fail("layer \"", context.name, "\": epsilon must be positive");
  }
  const Shape channels({context.shape().Columns()});
  const Value gamma = context.Parameter("gamma", channels, {Initial::Kind::kConstant, 1});
  const Value beta = context.Parameter("beta", channels, {});
  return context.graph.GroupNorm(context.name, context.x(), gamma, beta, layer.groups,
                                 layer.epsilon);
}

}  // namespace beamline::engine
