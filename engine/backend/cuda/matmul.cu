// Matrix products with bias, activation, or an activation's gradient.
#include "engine/backend/cuda/formulas.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/library_product.h"
#include "engine/backend/cuda/product.h"

namespace beamline::engine::cuda {
namespace {

struct Extents {
  explicit Extents(const KernelCall& call)
      : m(call.outputs[0].rows),
        n(call.outputs[0].columns),
        k(call.attributes->transpose_a ? call.inputs[0].rows : call.inputs[0].columns) {}
  int64_t m, n, k;
};

// What is done with each sum.
struct Finish {
  explicit Finish(const KernelCall& call)
      : y(Out(call, 0)),
        before(call.outputs_count == 2 ? Out(call, 1) : nullptr),
        bias(call.attributes->has_bias ? In(call, 2) : nullptr),
        saved(call.attributes->activation_grad ? In(call, call.inputs_count - 1) : nullptr),
        columns(call.outputs[0].columns),
        kind(call.attributes->activation),
        alpha(static_cast<float>(call.attributes->alpha)) {}

  BEAMLINE_DEVICE void operator()(int64_t i, int64_t j, float sum) const {
    const int64_t at = i * columns + j;
    const float x = bias != nullptr ? sum + bias[j] : sum;
    if (before != nullptr) before[at] = x;
    y[at] = saved != nullptr ? x * SlopeCall(kind, saved[at], alpha) : Activated(x);
  }

  BEAMLINE_DEVICE float Activated(float x) const {
    return kind == Activation::kLinear ? x : ActivationCall(kind, x, alpha);
  }

  float* y;
  float* before;
  const float* bias;
  const float* saved;
  int64_t columns;
  Activation kind;
  float alpha;
};

// With vectors of kWidth: rows of both operands in memory are multiples of it.
template <bool kTransposeA, bool kTransposeB, int kWidth>
void Multiply(const KernelCall& call, const RunState& run, const Extents& extents) {
  Product(run, extents.m, extents.n, extents.k,
          Dense<!kTransposeA, kWidth>{In(call, 0), call.inputs[0].columns},
          Dense<kTransposeB, kWidth>{In(call, 1), call.inputs[1].columns}, Finish(call));
}

template <int kWidth>
void MultiplyBy(const KernelCall& call, const RunState& run, const Extents& extents) {
  const bool b = call.attributes->transpose_b;
  if (call.attributes->transpose_a) {
    return b ? Multiply<true, true, kWidth>(call, run, extents)
             : Multiply<true, false, kWidth>(call, run, extents);
  }
  return b ? Multiply<false, true, kWidth>(call, run, extents)
           : Multiply<false, false, kWidth>(call, run, extents);
}

}  // namespace

Scratch MatMulScratch(const KernelCall& call) {
  const Extents extents(call);
  return ProductScratch(extents.m, extents.n, extents.k, false);
}

void MatMul(const KernelCall& call, const RunState& run) {
  const Extents extents(call);
  const Attributes& attributes = *call.attributes;
  if (LibraryIsFaster(run, extents.m, extents.n, extents.k)) {
    Finish finish(call);
    // What follows in place reads the product where it stands: before the activation, if kept.
    float* product = finish.before != nullptr ? finish.before : finish.y;
    LibraryProduct(run, {In(call, 0), In(call, 1), product, extents.m, extents.n, extents.k,
                         attributes.transpose_a, attributes.transpose_b, finish.bias});
    finish.bias = nullptr;
    finish.before = nullptr;
    if (product == finish.y && finish.saved == nullptr && finish.kind == Activation::kLinear) {
      return;
    }
    return Cells(run, extents.m, extents.n, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
      finish(i, j, product[i * finish.columns + j]);
    });
  }
  const bool fours = call.inputs[0].columns % 4 == 0 && call.inputs[1].columns % 4 == 0;
  return fours ? MultiplyBy<4>(call, run, extents) : MultiplyBy<1>(call, run, extents);
}

}  // namespace beamline::engine::cuda
