// Losses and their gradients; sums over rows are kept in double.
#include <cmath>

#include "engine/backend/capsules.h"
#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

// Below this a probability counts as it: its logarithm stays finite.
constexpr double kTiny = 1e-30;

// The optional inputs by their meaning.
template <typename T>
struct Inputs {
  explicit Inputs(const KernelCall& call) {
    const Attributes& attributes = *call.attributes;
    loss = attributes.loss;
    labels = TakesLabels(loss);
    if (attributes.has_weights) weights = In<T>(call, next++);
    if (attributes.has_class_weights) class_weights = In<T>(call, next++);
    number = attributes.has_number ? In<T>(call, next++)[0] : static_cast<T>(attributes.delta);
  }

  LossKind loss;
  bool labels;
  int next = 2;  // the first input after the optional ones
  const T* weights = nullptr;
  const T* class_weights = nullptr;
  T number = 0;
};

// Event weight times class weight of a row.
template <typename T>
T RowWeight(const KernelCall& call, const Inputs<T>& inputs, int64_t row) {
  const T weight = inputs.weights != nullptr ? inputs.weights[row] : T(1);
  if (inputs.class_weights == nullptr) return weight;
  const T* of_class = inputs.class_weights;
  if (inputs.labels) return weight * of_class[In<int32_t>(call, 1)[row]];
  const T target = In<T>(call, 1)[row];
  return weight * math::Fma(target, of_class[1] - of_class[0], of_class[0]);
}

// log sum_j exp(p_j)
template <typename T>
T LogSumExp(const T* p, int64_t columns) {
  T largest = p[0];
  for (int64_t j = 1; j < columns; ++j) largest = math::Max(largest, p[j]);
  T sum = 0;
  for (int64_t j = 0; j < columns; ++j) sum += math::Exp(p[j] - largest);
  return largest + math::Log(sum);
}

template <typename T>
T CrossEntropy(const T* p, int64_t columns, int32_t label, T smoothing) {
  T sum = 0;
  for (int64_t j = 0; j < columns; ++j) sum += p[j];
  const T target = (T(1) - smoothing) * p[label] + smoothing / static_cast<T>(columns) * sum;
  return LogSumExp(p, columns) - target;
}

// The largest output beside the label's, the first of equals.
template <typename T>
int64_t Rival(const T* p, int64_t columns, int32_t label) {
  int64_t rival = label == 0 ? 1 : 0;
  for (int64_t j = rival + 1; j < columns; ++j) {
    if (j != label && p[j] > p[rival]) rival = j;
  }
  return rival;
}

// What the focal loss of a row is made of: q = softmax(p)_label.
template <typename T>
struct FocalRow {
  FocalRow(const T* p, int64_t columns, int32_t label, T gamma) : norm(LogSumExp(p, columns)) {
    T others = 0;
    for (int64_t j = 0; j < columns; ++j) others += j == label ? T(0) : math::Exp(p[j] - norm);
    rest = math::Max(others, T(kTiny));
    q = math::Exp(p[label] - norm);
    minus_log_q = q > T(0.5) ? math::Log1p(rest / q) : norm - p[label];
    fade = math::Exp(gamma * math::Log(rest));
  }

  T norm;
  T q, rest;  // rest = 1 - q
  T minus_log_q;
  T fade;  // (1 - q)^gamma
};

template <typename T>
T KullbackLeibler(const T* p, const T* t, int64_t columns) {
  const T norm = LogSumExp(p, columns);
  T sum = 0;
  for (int64_t j = 0; j < columns; ++j) {
    sum += t[j] * (math::Log(math::Max(t[j], T(kTiny))) - (p[j] - norm));
  }
  return sum;
}

template <typename T>
T RowLoss(const KernelCall& call, const Inputs<T>& inputs, int64_t row) {
  const int64_t columns = call.inputs[0].columns;
  const T* p = In<T>(call, 0) + row * columns;
  const int32_t label = inputs.labels ? In<int32_t>(call, 1)[row] : 0;
  switch (inputs.loss) {
    case LossKind::kCrossEntropy:
      return CrossEntropy(p, columns, label, static_cast<T>(call.attributes->smoothing));
    case LossKind::kMultiClassHinge:
      return math::Max(T(1) + p[Rival(p, columns, label)] - p[label], T(0));
    case LossKind::kFocalCrossEntropy: {
      const FocalRow<T> focal(p, columns, label, inputs.number);
      return focal.fade * focal.minus_log_q;
    }
    case LossKind::kMargin: {
      T sum = 0;
      for (int64_t j = 0; j < columns; ++j)
        sum += capsules::Margin(p[j], j == label, inputs.number);
      return sum;
    }
    case LossKind::kKullbackLeibler:
      return KullbackLeibler(p, In<T>(call, 1) + row * columns, columns);
    default:
      break;
  }
  T loss = 0;
  functors::ForPointLoss(inputs.loss, [&](auto tag) {
    for (int64_t j = 0; j < columns; ++j) {
      loss += functors::PointLoss<decltype(tag)::kLoss>(p[j], In<T>(call, 1)[row * columns + j],
                                                        inputs.number);
    }
  });
  return loss / static_cast<T>(columns);
}

// dp = scale * gradient of the row's loss.
template <typename T>
void RowGradient(const KernelCall& call, const Inputs<T>& inputs, int64_t row, T scale) {
  const int64_t columns = call.inputs[0].columns;
  const T* p = In<T>(call, 0) + row * columns;
  T* dp = Out<T>(call, 0) + row * columns;
  const int32_t label = inputs.labels ? In<int32_t>(call, 1)[row] : 0;
  switch (inputs.loss) {
    case LossKind::kCrossEntropy: {
      const T smoothing = static_cast<T>(call.attributes->smoothing);
      const T norm = LogSumExp(p, columns);
      for (int64_t j = 0; j < columns; ++j) {
        const T target =
            (j == label ? T(1) - smoothing : T(0)) + smoothing / static_cast<T>(columns);
        dp[j] = scale * (math::Exp(p[j] - norm) - target);
      }
      return;
    }
    case LossKind::kMultiClassHinge: {
      const int64_t rival = Rival(p, columns, label);
      const T slope = T(1) + p[rival] - p[label] > T(0) ? scale : T(0);
      for (int64_t j = 0; j < columns; ++j) dp[j] = j == rival ? slope : T(0);
      dp[label] = -slope;
      return;
    }
    case LossKind::kFocalCrossEntropy: {
      const FocalRow<T> focal(p, columns, label, inputs.number);
      const T factor =
          -focal.fade * (T(1) + inputs.number * focal.q * focal.minus_log_q / focal.rest);
      for (int64_t j = 0; j < columns; ++j) {
        const T at_label = j == label ? focal.rest : -math::Exp(p[j] - focal.norm);
        dp[j] = scale * factor * at_label;
      }
      return;
    }
    case LossKind::kMargin:
      for (int64_t j = 0; j < columns; ++j) {
        dp[j] = scale * capsules::MarginSlope(p[j], j == label, inputs.number);
      }
      return;
    case LossKind::kKullbackLeibler: {
      const T* t = In<T>(call, 1) + row * columns;
      const T norm = LogSumExp(p, columns);
      T sum = 0;
      for (int64_t j = 0; j < columns; ++j) sum += t[j];
      for (int64_t j = 0; j < columns; ++j) dp[j] = scale * (sum * math::Exp(p[j] - norm) - t[j]);
      return;
    }
    default:
      break;
  }
  functors::ForPointLoss(inputs.loss, [&](auto tag) {
    for (int64_t j = 0; j < columns; ++j) {
      const T slope = functors::PointLossSlope<decltype(tag)::kLoss>(
          p[j], In<T>(call, 1)[row * columns + j], inputs.number);
      dp[j] = scale / static_cast<T>(columns) * slope;
    }
  });
}

}  // namespace

template <typename T>
void Loss(const KernelCall& call, const RunState&) {
  const Inputs<T> inputs(call);
  double sum = 0;
  double weight_sum = 0;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T loss = RowLoss<T>(call, inputs, row);
    const double weight = RowWeight<T>(call, inputs, row);
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
  const Inputs<T> inputs(call);
  const T weight_sum = In<T>(call, inputs.next)[0];
  const T upstream = call.attributes->has_scale ? In<T>(call, inputs.next + 1)[0] : T(1);
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const T weight = RowWeight<T>(call, inputs, row);
    RowGradient<T>(call, inputs, row, weight_sum > T(0) ? upstream * weight / weight_sum : T(0));
  }
}
BEAMLINE_INSTANTIATE(LossGrad)

}  // namespace beamline::engine::reference
