// Products of matrices whose elements come from anywhere: dense operands, the windows of a
// convolution. One tiled kernel for all of them; what is done with each sum is the caller's too.
//
// Each element is one chain of fused multiply-adds over k in order, from zero; where k is long and
// there are few elements it is cut into splits, which a warp adds. With TF32 (cuda/tf32) the tensor
// cores add in an order of their own.
#pragma once

#include "engine/backend/cuda/four.h"
#include "engine/backend/cuda/launch.h"
#include "engine/backend/cuda/product_plan.h"
#if defined(__CUDACC__)
#include "engine/backend/cuda/product_tiles.h"
#endif

namespace beamline::engine::cuda {

// kWidth neighbours in memory, aligned to all of them.
template <int kWidth>
BEAMLINE_DEVICE void LoadVector(const float* from, float* to) {
  const Pack<kWidth> pack = PackAt<kWidth>(from);
  for (int i = 0; i < kWidth; ++i) to[i] = pack.v[i];
}

// An operand: rows of a and columns of b are its outer places.
//   kInnerFast   neighbours along k are neighbours in memory, or else those of outer places are
//   kVector      so many of them are loaded at a time
//   kNarrow      of a: tiles of few columns are worth their kernels (ProductPlan)
//   At(outer)    what can be known of an outer place beforehand
//   Load(place, k, to)   elements (place, k...) or (place..., k)
//
// This one is dense: element (outer, k) at data[outer * stride + k], or data[k * stride + outer];
// for vectors of 4, stride and the extent of the fast axis are multiples of 4.
template <bool kFast, int kWidth>
struct Dense {
  static constexpr bool kInnerFast = kFast;
  static constexpr int kVector = kWidth;
  static constexpr bool kNarrow = false;
  using Place = const float*;

  const float* data;
  int64_t stride;

  BEAMLINE_DEVICE Place At(int outer) const { return data + (kFast ? outer * stride : outer); }
  BEAMLINE_DEVICE void Load(Place place, int k, float* to) const {
    LoadVector<kWidth>(place + (kFast ? k : k * stride), to);
  }
};

#if !defined(__CUDACC__)

// One element, as the host makes it.
template <typename Operand>
float ElementOf(const Operand& operand, int64_t outer, int64_t k) {
  constexpr int kV = Operand::kVector;
  float loaded[kV];
  const auto o = static_cast<int>(outer);
  const auto at = static_cast<int>(k);
  if (Operand::kInnerFast) {
    operand.Load(operand.At(o), at / kV * kV, loaded);
    return loaded[at % kV];
  }
  operand.Load(operand.At(o / kV * kV), at, loaded);
  return loaded[o % kV];
}

template <typename A, typename B, typename Done>
void Tiles(const RunState&, int64_t m, int64_t n, int64_t k, const ProductPlan& plan, const A& a,
           const B& b, float* partial, const Done& done) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      float total = 0;
      for (int64_t split = 0; split < plan.splits; ++split) {
        const int64_t begin = split * plan.per_split;
        const int64_t end = math::Min(k, begin + plan.per_split);
        float sum = 0;
        for (int64_t kk = begin; kk < end; ++kk) {
          sum = math::Fma(ElementOf(a, i, kk), ElementOf(b, j, kk), sum);
        }
        if (partial != nullptr) partial[(split * m + i) * n + j] = sum;
        total = split == 0 ? sum : total + sum;
      }
      if (partial == nullptr || plan.splits_are_few()) done(i, j, total);
    }
  }
}

#endif

// done(i, j, sum over k of a(i, k) b(j, k)) for each i in [0, m) and j in [0, n). Uses the memory
// of ProductScratch.
template <typename A, typename B, typename Done>
void Product(const RunState& run, int64_t m, int64_t n, int64_t k, const A& a, const B& b,
             const Done& done) {
  if (m <= 0 || n <= 0) return;
  const ProductPlan plan = PlanProduct(m, n, k, A::kNarrow);
  if (plan.splits == 1) return Tiles(run, m, n, k, plan, a, b, nullptr, done);
  float* partial = SharedScratch(run);
  Tiles(run, m, n, k, plan, a, b, partial, done);
  if (plan.splits_are_few()) return;
  const int64_t splits = plan.splits;
  const int64_t elements = m * n;
  Teams<kWarp>(run, elements, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const int64_t at = team.index();
    const float sum = team.template Sum<float>(
        splits, [&](int64_t split) { return partial[split * elements + at]; });
    team.Once([&] { done(at / n, at % n, sum); });
  });
}

}  // namespace beamline::engine::cuda
