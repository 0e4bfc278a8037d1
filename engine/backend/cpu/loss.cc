// Losses and their gradients; sums over rows are kept in double, in order.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// Event weight times class weight of a row.
inline __attribute__((always_inline)) float RowWeight(const KernelCall& call, int64_t row) {
  const Attributes& attributes = *call.attributes;
  int next = 2;
  float weight = 1;
  if (attributes.has_weights) weight = In(call, next++)[row];
  if (!attributes.has_class_weights) return weight;
  const float* of_class = In(call, next);
  if (attributes.loss == LossKind::kCrossEntropy) {
    return weight * of_class[static_cast<const int32_t*>(call.inputs[1].data)[row]];
  }
  return weight * math::Fma(In(call, 1)[row], of_class[1] - of_class[0], of_class[0]);
}

// log sum_j exp(p_j)
inline __attribute__((always_inline)) float LogSumExp(const float* p, int64_t columns) {
  float largest = p[0];
  for (int64_t j = 1; j < columns; ++j) largest = math::Max(largest, p[j]);
  return largest +
         math::Log(LaneSum(columns, [&](int64_t j) { return math::Exp(p[j] - largest); }));
}

void CrossEntropyRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto smoothing = static_cast<float>(call.attributes->smoothing);
  const auto* labels = static_cast<const int32_t*>(call.inputs[1].data);
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t row) {
    const float* p = In(call, 0) + row * columns;
    float target = p[labels[row]];
    if (smoothing > 0.0f) {
      const float sum = LaneSum(columns, [&](int64_t j) { return p[j]; });
      target = (1.0f - smoothing) * target + smoothing / static_cast<float>(columns) * sum;
    }
    Out(call, 2)[row] = LogSumExp(p, columns) - target;
  });
}

void PointRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto delta = static_cast<float>(call.attributes->delta);
  const float* p = In(call, 0);
  const float* t = In(call, 1);
  functors::ForPointLoss(call.attributes->loss, [&](auto tag) {
    constexpr LossKind kLoss = decltype(tag)::kLoss;
    if (columns == 1) {
      ForRange(run, call.inputs[0].rows, 8, [&](int64_t begin, int64_t end) {
        Fill(Out(call, 2), begin, end,
             [&](int64_t i) { return functors::PointLoss<kLoss>(p[i], t[i], delta); });
      });
      return;
    }
    ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t row) {
      const int64_t first = row * columns;
      Out(call, 2)[row] =
          LaneSum(columns,
                  [&](int64_t j) {
                    return functors::PointLoss<kLoss>(p[first + j], t[first + j], delta);
                  }) /
          static_cast<float>(columns);
    });
  });
}

}  // namespace

void Loss(const KernelCall& call, const RunState& run) {
  if (call.attributes->loss == LossKind::kCrossEntropy) {
    CrossEntropyRows(call, run);
  } else {
    PointRows(call, run);
  }
  double sum = 0;
  double weight_sum = 0;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const double weight = RowWeight(call, row);
    sum += weight * static_cast<double>(Out(call, 2)[row]);
    weight_sum += math::Abs(weight);
  }
  Out(call, 0)[0] = static_cast<float>(weight_sum > 0 ? sum / weight_sum : 0);
  Out(call, 1)[0] = static_cast<float>(weight_sum);
}

void LossGrad(const KernelCall& call, const RunState& run) {
  const Attributes& attributes = *call.attributes;
  const int64_t columns = call.inputs[0].columns;
  const int extra = (attributes.has_weights ? 1 : 0) + (attributes.has_class_weights ? 1 : 0);
  const float weight_sum = In(call, 2 + extra)[0];
  const float upstream = attributes.has_scale ? In(call, 3 + extra)[0] : 1.0f;
  const auto delta = static_cast<float>(attributes.delta);
  const auto smoothing = static_cast<float>(attributes.smoothing);
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t row) {
    const float scale = weight_sum > 0.0f ? upstream * RowWeight(call, row) / weight_sum : 0.0f;
    const float* p = In(call, 0) + row * columns;
    float* dp = Out(call, 0) + row * columns;
    if (attributes.loss == LossKind::kCrossEntropy) {
      const int32_t label = static_cast<const int32_t*>(call.inputs[1].data)[row];
      const float norm = LogSumExp(p, columns);
      Fill(dp, 0, columns, [&](int64_t j) {
        const float at_label = j == label ? 1.0f - smoothing : 0.0f;
        const float target = at_label + smoothing / static_cast<float>(columns);
        return scale * (math::Exp(p[j] - norm) - target);
      });
      return;
    }
    const float* t = In(call, 1) + row * columns;
    const float share = scale / static_cast<float>(columns);
    functors::ForPointLoss(attributes.loss, [&](auto tag) {
      Fill(dp, 0, columns, [&](int64_t j) {
        return share * functors::PointLossSlope<decltype(tag)::kLoss>(p[j], t[j], delta);
      });
    });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
