// Losses and their gradients; sums over rows are kept in double.
#include <cmath>

#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {

// Event weight times class weight of a row.
template <typename T>
static T RowWeight(const KernelCall& call, int64_t row) {
  const Attributes& attributes = *call.attributes;
  int next = 2;
  T weight = 1;
  if (attributes.has_weights) weight = In<T>(call, next++)[row];
  if (!attributes.has_class_weights) return weight;
  const T* of_class = In<T>(call, next);
  if (attributes.loss == LossKind::kCrossEntropy) {
    return weight * of_class[In<int32_t>(call, 1)[row]];
  }
  const T target = In<T>(call, 1)[row];
  return weight * math::Fma(target, of_class[1] - of_class[0], of_class[0]);
}

// log sum_j exp(p_j)
template <typename T>
static T LogSumExp(const T* p, int64_t columns) {
  T largest = p[0];
  for (int64_t j = 1; j < columns; ++j) largest = math::Max(largest, p[j]);
  T sum = 0;
  for (int64_t j = 0; j < columns; ++j) sum += math::Exp(p[j] - largest);
  return largest + math::Log(sum);
}

template <typename T>
static T RowLoss(const KernelCall& call, int64_t row) {
  const Attributes& attributes = *call.attributes;
  const int64_t columns = call.inputs[0].columns;
  const T* p = In<T>(call, 0) + row * columns;
  T loss = 0;
  if (attributes.loss == LossKind::kCrossEntropy) {
    const T smoothing = static_cast<T>(attributes.smoothing);
    T sum = 0;
    for (int64_t j = 0; j < columns; ++j) sum += p[j];
    const T target = (T(1) - smoothing) * p[In<int32_t>(call, 1)[row]] +
                     smoothing / static_cast<T>(columns) * sum;
    return LogSumExp(p, columns) - target;
  }
  functors::ForPointLoss(attributes.loss, [&](auto tag) {
    for (int64_t j = 0; j < columns; ++j) {
      loss += functors::PointLoss<decltype(tag)::kLoss>(p[j], In<T>(call, 1)[row * columns + j],
                                                        static_cast<T>(attributes.delta));
    }
  });
  return loss / static_cast<T>(columns);
}

template <typename T>
void Loss(const KernelCall& call, const RunState&) {
  double sum = 0;
  double weight_sum = 0;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T loss = RowLoss<T>(call, row);
    const double weight = RowWeight<T>(call, row);
    Out<T>(call, 2)[row] = loss;
    sum += weight * static_cast<double>(loss);
    weight_sum += std::fabs(weight);
  }
  Out<T>(call, 0)[0] = static_cast<T>(weight_sum > 0 ? sum / weight_sum : 0);
  Out<T>(call, 1)[0] = static_cast<T>(weight_sum);
}
BEAMLINE_INSTANTIATE(Loss)

template <typename T>
void LossGrad(const KernelCall& call, const RunState&) {
  const Attributes& attributes = *call.attributes;
  const int64_t columns = call.inputs[0].columns;
  const int extra = (attributes.has_weights ? 1 : 0) + (attributes.has_class_weights ? 1 : 0);
  const T weight_sum = In<T>(call, 2 + extra)[0];
  const T upstream = attributes.has_scale ? In<T>(call, 3 + extra)[0] : T(1);
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T scale = weight_sum > T(0) ? upstream * RowWeight<T>(call, row) / weight_sum : T(0);
    const T* p = In<T>(call, 0) + row * columns;
    T* dp = Out<T>(call, 0) + row * columns;
    if (attributes.loss == LossKind::kCrossEntropy) {
      const T smoothing = static_cast<T>(attributes.smoothing);
      const T norm = LogSumExp(p, columns);
      for (int64_t j = 0; j < columns; ++j) {
        const T at_label = j == In<int32_t>(call, 1)[row] ? T(1) - smoothing : T(0);
        const T target = at_label + smoothing / static_cast<T>(columns);
        dp[j] = scale * (math::Exp(p[j] - norm) - target);
      }
      continue;
    }
    functors::ForPointLoss(attributes.loss, [&](auto tag) {
      for (int64_t j = 0; j < columns; ++j) {
        const T slope = functors::PointLossSlope<decltype(tag)::kLoss>(
            p[j], In<T>(call, 1)[row * columns + j], static_cast<T>(attributes.delta));
        dp[j] = scale / static_cast<T>(columns) * slope;
      }
    });
  }
}
BEAMLINE_INSTANTIATE(LossGrad)

}  // namespace beamline::engine::reference
