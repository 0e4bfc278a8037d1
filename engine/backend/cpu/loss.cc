// Losses and their gradients; sums over rows are kept in double, in order.
#include "engine/backend/capsules.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

// Below this a probability counts as it: its logarithm stays finite.
constexpr float kTiny = 1e-30f;

// The optional inputs by their meaning.
struct Inputs {
  LossKind loss;
  bool labels;
  int next;  // the first input after the optional ones
  const float* weights;
  const float* class_weights;
  float number;
};

inline __attribute__((always_inline)) Inputs InputsOf(const KernelCall& call) {
  const Attributes& attributes = *call.attributes;
  Inputs inputs = {attributes.loss, TakesLabels(attributes.loss), 2, nullptr, nullptr, 0};
  if (attributes.has_weights) inputs.weights = In(call, inputs.next++);
  if (attributes.has_class_weights) inputs.class_weights = In(call, inputs.next++);
  inputs.number =
      attributes.has_number ? In(call, inputs.next++)[0] : static_cast<float>(attributes.delta);
  return inputs;
}

// Event weight times class weight of a row.
inline __attribute__((always_inline)) float RowWeight(const KernelCall& call, const Inputs& inputs,
                                                      int64_t row) {
  const float weight = inputs.weights != nullptr ? inputs.weights[row] : 1.0f;
  if (inputs.class_weights == nullptr) return weight;
  const float* of_class = inputs.class_weights;
  if (inputs.labels)
    return weight * of_class[static_cast<const int32_t*>(call.inputs[1].data)[row]];
  return weight * math::Fma(In(call, 1)[row], of_class[1] - of_class[0], of_class[0]);
}

inline __attribute__((always_inline)) int32_t LabelOf(const KernelCall& call, int64_t row) {
  return static_cast<const int32_t*>(call.inputs[1].data)[row];
}

// log sum_j exp(p_j)
inline __attribute__((always_inline)) float LogSumExp(const float* p, int64_t columns) {
  const float largest = LaneMax(columns, [&](int64_t j) { return p[j]; });
  return largest +
         math::Log(LaneSum(columns, [&](int64_t j) { return math::Exp(p[j] - largest); }));
}

// The largest output beside the label's, the first of equals.
inline int64_t Rival(const float* p, int64_t columns, int32_t label) {
  int64_t rival = label == 0 ? 1 : 0;
  for (int64_t j = rival + 1; j < columns; ++j) {
    if (j != label && p[j] > p[rival]) rival = j;
  }
  return rival;
}

// What the focal loss of a row is made of: q = softmax(p)_label, rest = 1 - q, fade = rest^gamma.
struct FocalRow {
  float norm, q, rest, minus_log_q, fade;
};
inline FocalRow FocalOf(const float* p, int64_t columns, int32_t label, float gamma) {
  FocalRow row;
  row.norm = LogSumExp(p, columns);
  const float others = LaneSum(columns, [&](int64_t j) {
    const float e = math::Exp(p[j] - row.norm);
    return j == label ? 0.0f : e;
  });
  row.rest = math::Max(others, kTiny);
  row.q = math::Exp(p[label] - row.norm);
  row.minus_log_q = row.q > 0.5f ? math::Log1p(row.rest / row.q) : row.norm - p[label];
  row.fade = math::Exp(gamma * math::Log(row.rest));
  return row;
}

void CrossEntropyRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  const auto smoothing = static_cast<float>(call.attributes->smoothing);
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t row) {
    const float* p = In(call, 0) + row * columns;
    float target = p[LabelOf(call, row)];
    if (smoothing > 0.0f) {
      const float sum = LaneSum(columns, [&](int64_t j) { return p[j]; });
      target = (1.0f - smoothing) * target + smoothing / static_cast<float>(columns) * sum;
    }
    Out(call, 2)[row] = LogSumExp(p, columns) - target;
  });
}

void HingeRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 2, [&](int64_t row) {
    const float* p = In(call, 0) + row * columns;
    const int32_t label = LabelOf(call, row);
    Out(call, 2)[row] = math::Max(1.0f + p[Rival(p, columns, label)] - p[label], 0.0f);
  });
}

void FocalRows(const KernelCall& call, const RunState& run, float gamma) {
  const int64_t columns = call.inputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 16, [&](int64_t row) {
    const FocalRow focal = FocalOf(In(call, 0) + row * columns, columns, LabelOf(call, row), gamma);
    Out(call, 2)[row] = focal.fade * focal.minus_log_q;
  });
}

void MarginRows(const KernelCall& call, const RunState& run, float number) {
  const int64_t columns = call.inputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 4, [&](int64_t row) {
    const float* p = In(call, 0) + row * columns;
    const int32_t label = LabelOf(call, row);
    Out(call, 2)[row] =
        LaneSum(columns, [&](int64_t j) { return capsules::Margin(p[j], j == label, number); });
  });
}

void KullbackLeiblerRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.inputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 16, [&](int64_t row) {
    const float* p = In(call, 0) + row * columns;
    const float* t = In(call, 1) + row * columns;
    const float norm = LogSumExp(p, columns);
    Out(call, 2)[row] = LaneSum(columns, [&](int64_t j) {
      return t[j] * (math::Log(math::Max(t[j], kTiny)) - (p[j] - norm));
    });
  });
}

void PointRows(const KernelCall& call, const RunState& run, float number) {
  const int64_t columns = call.inputs[0].columns;
  const float* p = In(call, 0);
  const float* t = In(call, 1);
  functors::ForPointLoss(call.attributes->loss, [&](auto tag) {
    constexpr LossKind kLoss = decltype(tag)::kLoss;
    if (columns == 1) {
      ForRange(run, call.inputs[0].rows, 8, [&](int64_t begin, int64_t end) {
        Fill(Out(call, 2), begin, end,
             [&](int64_t i) { return functors::PointLoss<kLoss>(p[i], t[i], number); });
      });
      return;
    }
    ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t row) {
      const int64_t first = row * columns;
      Out(call, 2)[row] =
          LaneSum(columns,
                  [&](int64_t j) {
                    return functors::PointLoss<kLoss>(p[first + j], t[first + j], number);
                  }) /
          static_cast<float>(columns);
    });
  });
}

// --- dp = scale * gradient of the row's loss.

inline void CrossEntropyGradient(const float* p, float* dp, int64_t columns, int32_t label,
                                 float smoothing, float scale) {
  const float norm = LogSumExp(p, columns);
  Fill(dp, 0, columns, [&](int64_t j) {
    const float at_label = j == label ? 1.0f - smoothing : 0.0f;
    const float target = at_label + smoothing / static_cast<float>(columns);
    return scale * (math::Exp(p[j] - norm) - target);
  });
}

inline void HingeGradient(const float* p, float* dp, int64_t columns, int32_t label, float scale) {
  const int64_t rival = Rival(p, columns, label);
  const float slope = 1.0f + p[rival] - p[label] > 0.0f ? scale : 0.0f;
  Fill(dp, 0, columns, [&](int64_t j) { return j == rival ? slope : 0.0f; });
  dp[label] = -slope;
}

inline void FocalGradient(const float* p, float* dp, int64_t columns, int32_t label, float gamma,
                          float scale) {
  const FocalRow focal = FocalOf(p, columns, label, gamma);
  const float factor = -focal.fade * (1.0f + gamma * focal.q * focal.minus_log_q / focal.rest);
  Fill(dp, 0, columns, [&](int64_t j) {
    const float away = -math::Exp(p[j] - focal.norm);
    return scale * factor * (j == label ? focal.rest : away);
  });
}

inline void MarginGradient(const float* p, float* dp, int64_t columns, int32_t label, float number,
                           float scale) {
  Fill(dp, 0, columns,
       [&](int64_t j) { return scale * capsules::MarginSlope(p[j], j == label, number); });
}

inline void KullbackLeiblerGradient(const float* p, const float* t, float* dp, int64_t columns,
                                    float scale) {
  const float norm = LogSumExp(p, columns);
  const float sum = LaneSum(columns, [&](int64_t j) { return t[j]; });
  Fill(dp, 0, columns, [&](int64_t j) { return scale * (sum * math::Exp(p[j] - norm) - t[j]); });
}

}  // namespace

void Loss(const KernelCall& call, const RunState& run) {
  const Inputs inputs = InputsOf(call);
  switch (inputs.loss) {
    case LossKind::kCrossEntropy:
      CrossEntropyRows(call, run);
      break;
    case LossKind::kMultiClassHinge:
      HingeRows(call, run);
      break;
    case LossKind::kFocalCrossEntropy:
      FocalRows(call, run, inputs.number);
      break;
    case LossKind::kMargin:
      MarginRows(call, run, inputs.number);
      break;
    case LossKind::kKullbackLeibler:
      KullbackLeiblerRows(call, run);
      break;
    default:
      PointRows(call, run, inputs.number);
  }
  double sum = 0;
  double weight_sum = 0;
  for (int64_t row = 0; row < call.inputs[0].rows; ++row) {
    const double weight = RowWeight(call, inputs, row);
    sum += weight * static_cast<double>(Out(call, 2)[row]);
    weight_sum += math::Abs(weight);
  }
  Out(call, 0)[0] = static_cast<float>(weight_sum > 0 ? sum / weight_sum : 0);
  Out(call, 1)[0] = static_cast<float>(weight_sum);
}

void LossGrad(const KernelCall& call, const RunState& run) {
  const Inputs inputs = InputsOf(call);
  const int64_t columns = call.inputs[0].columns;
  const float weight_sum = In(call, inputs.next)[0];
  const float upstream = call.attributes->has_scale ? In(call, inputs.next + 1)[0] : 1.0f;
  const auto smoothing = static_cast<float>(call.attributes->smoothing);
  const float number = inputs.number;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t row) {
    const float scale =
        weight_sum > 0.0f ? upstream * RowWeight(call, inputs, row) / weight_sum : 0.0f;
    const float* p = In(call, 0) + row * columns;
    float* dp = Out(call, 0) + row * columns;
    switch (inputs.loss) {
      case LossKind::kCrossEntropy:
        return CrossEntropyGradient(p, dp, columns, LabelOf(call, row), smoothing, scale);
      case LossKind::kMultiClassHinge:
        return HingeGradient(p, dp, columns, LabelOf(call, row), scale);
      case LossKind::kFocalCrossEntropy:
        return FocalGradient(p, dp, columns, LabelOf(call, row), number, scale);
      case LossKind::kMargin:
        return MarginGradient(p, dp, columns, LabelOf(call, row), number, scale);
      case LossKind::kKullbackLeibler:
        return KullbackLeiblerGradient(p, In(call, 1) + row * columns, dp, columns, scale);
      default:
        break;
    }
    const float* t = In(call, 1) + row * columns;
    const float share = scale / static_cast<float>(columns);
    functors::ForPointLoss(inputs.loss, [&](auto tag) {
      Fill(dp, 0, columns, [&](int64_t j) {
        return share * functors::PointLossSlope<decltype(tag)::kLoss>(p[j], t[j], number);
      });
    });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
