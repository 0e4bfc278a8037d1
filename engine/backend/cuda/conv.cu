// Convolution, as a product of the windows and the weight; and its gradient by the weight.
#include "engine/backend/cuda/formulas.h"
#include "engine/backend/cuda/image.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/product.h"
#include "engine/core/error.h"

namespace beamline::engine::cuda {
namespace {

// Element (k, unit) of a weight that is read back to front, its channels and units exchanged.
template <int kWidth>
struct FlippedWeight {
  static constexpr bool kInnerFast = true;
  static constexpr int kVector = kWidth;
  using Place = int;

  BEAMLINE_DEVICE Place At(int unit) const { return unit; }
  BEAMLINE_DEVICE void Load(int unit, int k, float* to) const {
    const int tap = columns.Divide(k);
    LoadVector<kWidth>(
        data + ((taps - 1 - tap) * rows + unit) * columns.divisor() + k - tap * columns.divisor(),
        to);
  }

  const float* data;
  int taps, rows;
  Divider columns;
};

// Bias, residual, and activation or its gradient.
struct Finish {
  explicit Finish(const KernelCall& call)
      : y(Out(call, 0)), columns(call.outputs[0].columns), kind(call.attributes->activation) {
    int next = 2;
    if (call.attributes->has_bias) bias = In(call, next++);
    if (call.attributes->has_residual) residual = In(call, next);
    if (call.attributes->activation_grad) saved = In(call, call.inputs_count - 1);
    alpha = static_cast<float>(call.attributes->alpha);
  }

  BEAMLINE_DEVICE void operator()(int64_t i, int64_t j, float sum) const {
    const int64_t at = i * columns + j;
    if (bias != nullptr) sum += bias[j];
    if (residual != nullptr) sum += residual[at];
    y[at] = saved != nullptr ? sum * SlopeCall(kind, saved[at], alpha) : Activated(sum);
  }

  BEAMLINE_DEVICE float Activated(float x) const {
    return kind == Activation::kLinear ? x : ActivationCall(kind, x, alpha);
  }

  float* y;
  const float* bias = nullptr;
  const float* residual = nullptr;
  const float* saved = nullptr;
  int64_t columns;
  Activation kind;
  float alpha;
};

// Places within an image are 32-bit numbers.
void RequireCountable(const Operand& x, const Operand& y) {
  constexpr int64_t kMost = int64_t{1} << 31;
  if (x.elements < kMost && y.elements < kMost) return;
  Fail("a convolution's batch has ", math::Max(x.elements, y.elements),
       " elements, but on a GPU it may have 2147483647: lower batch_size");
}

// Groups see few channels each: an element at a time.
void GroupedConv(const KernelCall& call, const RunState& run) {
  const Window window = call.attributes->window;
  const Image x(call.inputs[0]);
  const Image y(call.outputs[0]);
  const WindowWalk walk(x, y, window);
  const float* from = In(call, 0);
  const float* weight = In(call, 1);
  const int64_t weight_rows = call.inputs[1].extents[2];
  const int64_t weight_columns = call.inputs[1].extents[3];
  const int64_t seen = x.channels / window.groups;
  const int64_t units = y.channels / window.groups;
  const int64_t taps = window.kernel[0] * window.kernel[1];
  const bool flip = window.flip;
  const Finish finish(call);
  Cells(run, call.outputs[0].rows, y.channels, [=] BEAMLINE_LAMBDA(int64_t i, int64_t n) {
    const WindowWalk::Corner corner = walk.CornerOf(static_cast<int>(i));
    const int64_t first = n / units * seen;
    float sum = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < seen; ++c) {
        const int64_t k = tap * walk.channels.divisor() + first + c;
        const int x_at = walk.Find(corner, walk.TapOf(static_cast<int>(k)));
        if (x_at < 0) continue;
        const int64_t at =
            flip ? ((taps - 1 - tap) * weight_rows + n % units) * weight_columns + first + c
                 : (tap * weight_rows + c) * weight_columns + n;
        sum = math::Fma(from[x_at], weight[at], sum);
      }
    }
    finish(i, n, sum);
  });
}

// As GroupedConv: a warp for each element of the gradient.
void GroupedConvWeightGrad(const KernelCall& call, const RunState& run) {
  const Window window = call.attributes->window;
  const Image x(call.inputs[0]);
  const Image y(call.inputs[1]);
  const WindowWalk walk(x, y, window);
  const float* from = In(call, 0);
  const float* dy = In(call, 1);
  float* dw = Out(call, 0);
  const int64_t seen = x.channels / window.groups;
  const int64_t units = y.channels / window.groups;
  const int64_t columns = y.channels;
  const int64_t positions = call.inputs[1].rows;
  Teams<kWarp>(run, call.outputs[0].elements, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t n = team.index() % columns;
    const int64_t c = team.index() / columns % seen;
    const int64_t tap = team.index() / columns / seen;
    const int64_t k = tap * walk.channels.divisor() + n / units * seen + c;
    const WindowWalk::Tap place = walk.TapOf(static_cast<int>(k));
    const float sum = team.template Sum<float>(positions, [&](int64_t p) {
      const int at = walk.Find(walk.CornerOf(static_cast<int>(p)), place);
      return at < 0 ? 0.0f : from[at] * dy[p * columns + n];
    });
    team.Once([&] { dw[team.index()] = sum; });
  });
}

}  // namespace

Scratch ConvScratch(const KernelCall& call) {
  const Window& window = call.attributes->window;
  RequireCountable(call.inputs[0], call.outputs[0]);
  if (window.groups > 1) return {};
  return ProductScratch(call.outputs[0].rows, call.outputs[0].columns,
                        window.kernel[0] * window.kernel[1] * call.inputs[0].columns, true);
}

template <int kWidth>
static void ConvBy(const KernelCall& call, const RunState& run) {
  const Window& window = call.attributes->window;
  const Image x(call.inputs[0]);
  const int64_t taps = window.kernel[0] * window.kernel[1];
  const int64_t m = call.outputs[0].rows;
  const int64_t n = call.outputs[0].columns;
  const int64_t k = taps * x.channels;
  const Windows<kWidth> windows{In(call, 0), WindowWalk(x, Image(call.outputs[0]), window)};
  const Finish finish(call);
  const float* weight = In(call, 1);
  if (window.flip) {
    const auto units = static_cast<int>(call.inputs[1].extents[2]);
    const Divider columns(call.inputs[1].extents[3]);
    return Product(run, m, n, k, windows,
                   FlippedWeight<kWidth>{weight, static_cast<int>(taps), units, columns}, finish);
  }
  Product(run, m, n, k, windows, Dense<false, kWidth>{weight, n}, finish);
}

void Conv(const KernelCall& call, const RunState& run) {
  if (call.attributes->window.groups > 1) return GroupedConv(call, run);
  const bool fours = call.inputs[0].columns % 4 == 0 && call.outputs[0].columns % 4 == 0;
  return fours ? ConvBy<4>(call, run) : ConvBy<1>(call, run);
}

Scratch ConvWeightGradScratch(const KernelCall& call) {
  const Window& window = call.attributes->window;
  RequireCountable(call.inputs[0], call.inputs[1]);
  if (window.groups > 1) return {};
  return ProductScratch(window.kernel[0] * window.kernel[1] * call.inputs[0].columns,
                        call.inputs[1].columns, call.inputs[1].rows, true);
}

// dW[k, n] = sum over positions p of windows[p, k] dy[p, n]
template <int kWidth>
static void ConvWeightGradBy(const KernelCall& call, const RunState& run) {
  const Window& window = call.attributes->window;
  const Image x(call.inputs[0]);
  const int64_t k = window.kernel[0] * window.kernel[1] * x.channels;
  const int64_t n = call.inputs[1].columns;
  const TransposedWindows<kWidth> windows{In(call, 0),
                                          WindowWalk(x, Image(call.inputs[1]), window)};
  float* dw = Out(call, 0);
  Product(run, k, n, call.inputs[1].rows, windows, Dense<false, kWidth>{In(call, 1), n},
          [=] BEAMLINE_LAMBDA(int64_t i, int64_t j, float sum) { dw[i * n + j] = sum; });
}

void ConvWeightGrad(const KernelCall& call, const RunState& run) {
  if (call.attributes->window.groups > 1) return GroupedConvWeightGrad(call, run);
  const bool fours = call.inputs[0].columns % 4 == 0 && call.inputs[1].columns % 4 == 0;
  return fours ? ConvWeightGradBy<4>(call, run) : ConvWeightGradBy<1>(call, run);
}

}  // namespace beamline::engine::cuda
