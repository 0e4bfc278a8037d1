// Losses and their gradients; sums over rows are kept in double.
#include "engine/backend/capsules.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/rows.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cuda {
namespace {

// Below this a probability counts as it: its logarithm stays finite.
constexpr float kTiny = 1e-30f;

struct Inputs {
  LossKind loss;
  int64_t columns;
  float smoothing;
  float delta;
  const float* p;
  const float* targets;   // or
  const int32_t* labels;  //
  const float* weights = nullptr;
  const float* class_weights = nullptr;
  const float* number = nullptr;

  BEAMLINE_DEVICE float Number() const { return number != nullptr ? *number : delta; }
  BEAMLINE_DEVICE int32_t Label(int64_t row) const { return labels != nullptr ? labels[row] : 0; }
  // Event weight times class weight of a row.
  BEAMLINE_DEVICE float operator()(int64_t row) const {
    const float weight = weights != nullptr ? weights[row] : 1.0f;
    if (class_weights == nullptr) return weight;
    if (labels != nullptr) return weight * class_weights[labels[row]];
    return weight * math::Fma(targets[row], class_weights[1] - class_weights[0], class_weights[0]);
  }
};

// `next`: the first input after the optional ones.
Inputs InputsOf(const KernelCall& call, int* next) {
  const Attributes& attributes = *call.attributes;
  const bool labels = TakesLabels(attributes.loss);
  Inputs inputs = {attributes.loss,
                   call.inputs[0].columns,
                   static_cast<float>(attributes.smoothing),
                   static_cast<float>(attributes.delta),
                   In(call, 0),
                   labels ? nullptr : In(call, 1),
                   labels ? In<int32_t>(call, 1) : nullptr};
  *next = 2;
  if (attributes.has_weights) inputs.weights = In(call, (*next)++);
  if (attributes.has_class_weights) inputs.class_weights = In(call, (*next)++);
  if (attributes.has_number) inputs.number = In(call, (*next)++);
  return inputs;
}

BEAMLINE_DEVICE float PointLossOf(LossKind kind, float p, float t, float number) {
  float loss = 0;
  functors::ForPointLoss(
      kind, [&](auto tag) { loss = functors::PointLoss<decltype(tag)::kLoss>(p, t, number); });
  return loss;
}

BEAMLINE_DEVICE float PointSlopeOf(LossKind kind, float p, float t, float number) {
  float slope = 0;
  functors::ForPointLoss(kind, [&](auto tag) {
    slope = functors::PointLossSlope<decltype(tag)::kLoss>(p, t, number);
  });
  return slope;
}

// log sum_j exp(p_j)
template <typename Group>
BEAMLINE_DEVICE float LogSumExp(Group& group, const float* p, int64_t columns) {
  const float largest = group.Max(columns, p[0], [&](int64_t j) { return p[j]; });
  const float sum =
      group.template Sum<float>(columns, [&](int64_t j) { return math::Exp(p[j] - largest); });
  return largest + math::Log(sum);
}

template <typename Group>
BEAMLINE_DEVICE float CrossEntropy(Group& group, const float* p, int64_t columns, int32_t label,
                                   float smoothing) {
  const float norm = LogSumExp(group, p, columns);
  if (smoothing == 0.0f) return norm - p[label];
  const float sum = group.template Sum<float>(columns, [&](int64_t j) { return p[j]; });
  return norm - ((1.0f - smoothing) * p[label] + smoothing / static_cast<float>(columns) * sum);
}

// The largest output beside the label's.
template <typename Group>
BEAMLINE_DEVICE float RivalOutput(Group& group, const float* p, int64_t columns, int32_t label) {
  const int64_t other = label == 0 ? 1 : 0;
  return group.Max(columns, p[other], [&](int64_t j) { return p[j == label ? other : j]; });
}

// What the focal loss of a row is made of: q = softmax(p)_label.
struct Focal {
  float norm;
  float q, rest;  // rest = 1 - q
  float minus_log_q;
  float fade;  // (1 - q)^gamma
};

template <typename Group>
BEAMLINE_DEVICE Focal FocalOf(Group& group, const float* p, int64_t columns, int32_t label,
                              float gamma) {
  Focal focal;
  focal.norm = LogSumExp(group, p, columns);
  const float others = group.template Sum<float>(
      columns, [&](int64_t j) { return j == label ? 0.0f : math::Exp(p[j] - focal.norm); });
  focal.rest = math::Max(others, kTiny);
  focal.q = math::Exp(p[label] - focal.norm);
  focal.minus_log_q = focal.q > 0.5f ? math::Log1p(focal.rest / focal.q) : focal.norm - p[label];
  focal.fade = math::Exp(gamma * math::Log(focal.rest));
  return focal;
}

template <typename Group>
BEAMLINE_DEVICE float KullbackLeibler(Group& group, const float* p, const float* t,
                                      int64_t columns) {
  const float norm = LogSumExp(group, p, columns);
  return group.template Sum<float>(columns, [&](int64_t j) {
    return t[j] * (math::Log(math::Max(t[j], kTiny)) - (p[j] - norm));
  });
}

struct LossRow {
  Inputs inputs;
  float* losses;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float loss = Of(group, row);
    group.Once([&] { losses[row] = loss; });
  }

  template <typename Group>
  BEAMLINE_DEVICE float Of(Group& group, int64_t row) const {
    const int64_t columns = inputs.columns;
    const float* p = inputs.p + row * columns;
    const float* t = inputs.targets != nullptr ? inputs.targets + row * columns : nullptr;
    const int32_t label = inputs.Label(row);
    const float number = inputs.Number();
    switch (inputs.loss) {
      case LossKind::kCrossEntropy:
        return CrossEntropy(group, p, columns, label, inputs.smoothing);
      case LossKind::kMultiClassHinge:
        return math::Max(1.0f + RivalOutput(group, p, columns, label) - p[label], 0.0f);
      case LossKind::kFocalCrossEntropy: {
        const Focal focal = FocalOf(group, p, columns, label, number);
        return focal.fade * focal.minus_log_q;
      }
      case LossKind::kMargin:
        return group.template Sum<float>(
            columns, [&](int64_t j) { return capsules::Margin(p[j], j == label, number); });
      case LossKind::kKullbackLeibler:
        return KullbackLeibler(group, p, t, columns);
      default:
        break;
    }
    const float sum = group.template Sum<float>(
        columns, [&](int64_t j) { return PointLossOf(inputs.loss, p[j], t[j], number); });
    return sum / static_cast<float>(columns);
  }
};

// What the gradient of a row's loss is multiplied by.
struct Scale {
  Inputs weights;
  const float* weight_sum;
  const float* upstream;  // or null: 1

  BEAMLINE_DEVICE float Of(int64_t row) const {
    const float from = upstream != nullptr ? *upstream : 1.0f;
    return *weight_sum > 0.0f ? from * weights(row) / *weight_sum : 0.0f;
  }
};

// For the losses that are not means over outputs.
struct GradientRow {
  Inputs inputs;
  Scale scales;
  float* gradient;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const int64_t first = row * inputs.columns;
    const int32_t label = inputs.Label(row);
    const float scale = scales.Of(row);
    switch (inputs.loss) {
      case LossKind::kCrossEntropy:
        return CrossEntropyGrad(group, inputs.p + first, gradient + first, label, scale);
      case LossKind::kMultiClassHinge:
        return HingeGrad(group, inputs.p + first, gradient + first, label, scale);
      case LossKind::kFocalCrossEntropy:
        return FocalGrad(group, inputs.p + first, gradient + first, label, scale);
      case LossKind::kMargin:
        return MarginGrad(group, inputs.p + first, gradient + first, label, scale);
      default:
        return KullbackLeiblerGrad(group, inputs.p + first, inputs.targets + first,
                                   gradient + first, scale);
    }
  }

  template <typename Group>
  BEAMLINE_DEVICE void CrossEntropyGrad(Group& group, const float* p, float* dp, int32_t label,
                                        float scale) const {
    const float norm = LogSumExp(group, p, inputs.columns);
    const float smoothing = inputs.smoothing;
    const float everywhere = smoothing / static_cast<float>(inputs.columns);
    group.For(inputs.columns, [&](int64_t j) {
      const float target = (j == label ? 1.0f - smoothing : 0.0f) + everywhere;
      dp[j] = scale * (math::Exp(p[j] - norm) - target);
    });
  }

  // To the first of equal rivals.
  template <typename Group>
  BEAMLINE_DEVICE void HingeGrad(Group& group, const float* p, float* dp, int32_t label,
                                 float scale) const {
    const int64_t columns = inputs.columns;
    const float largest = RivalOutput(group, p, columns, label);
    const int64_t rival = -group.Max(columns, -columns, [&](int64_t j) {
      return j != label && p[j] == largest ? -j : -columns;
    });
    const float slope = 1.0f + largest - p[label] > 0.0f ? scale : 0.0f;
    group.For(columns,
              [&](int64_t j) { dp[j] = j == label ? -slope : (j == rival ? slope : 0.0f); });
  }

  template <typename Group>
  BEAMLINE_DEVICE void FocalGrad(Group& group, const float* p, float* dp, int32_t label,
                                 float scale) const {
    const float gamma = inputs.Number();
    const Focal focal = FocalOf(group, p, inputs.columns, label, gamma);
    const float factor = -focal.fade * (1.0f + gamma * focal.q * focal.minus_log_q / focal.rest);
    group.For(inputs.columns, [&](int64_t j) {
      const float at_label = j == label ? focal.rest : -math::Exp(p[j] - focal.norm);
      dp[j] = scale * factor * at_label;
    });
  }

  template <typename Group>
  BEAMLINE_DEVICE void MarginGrad(Group& group, const float* p, float* dp, int32_t label,
                                  float scale) const {
    const float number = inputs.Number();
    group.For(inputs.columns,
              [&](int64_t j) { dp[j] = scale * capsules::MarginSlope(p[j], j == label, number); });
  }

  template <typename Group>
  BEAMLINE_DEVICE void KullbackLeiblerGrad(Group& group, const float* p, const float* t, float* dp,
                                           float scale) const {
    const float norm = LogSumExp(group, p, inputs.columns);
    const float sum = group.template Sum<float>(inputs.columns, [&](int64_t j) { return t[j]; });
    group.For(inputs.columns,
              [&](int64_t j) { dp[j] = scale * (sum * math::Exp(p[j] - norm) - t[j]); });
  }
};

bool IsMeanOverOutputs(LossKind loss) {
  return !TakesLabels(loss) && loss != LossKind::kKullbackLeibler;
}

}  // namespace

void Loss(const KernelCall& call, const RunState& run) {
  int next = 0;
  const Inputs inputs = InputsOf(call, &next);
  const int64_t rows = call.inputs[0].rows;
  float* losses = Out(call, 2);
  RowsThenTotal(run, rows, inputs.columns, LossRow{inputs, losses},
                WeightedMean<Inputs>{rows, losses, inputs, Out(call, 0), Out(call, 1)});
}

void LossGrad(const KernelCall& call, const RunState& run) {
  int next = 0;
  const Inputs inputs = InputsOf(call, &next);
  const Scale scale = {inputs, In(call, next),
                       call.attributes->has_scale ? In(call, next + 1) : nullptr};
  const int64_t rows = call.inputs[0].rows;
  const int64_t columns = inputs.columns;
  float* dp = Out(call, 0);
  if (!IsMeanOverOutputs(inputs.loss)) {
    return EachRow(run, rows, columns, GradientRow{inputs, scale, dp});
  }
  Cells(run, rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const int64_t i = row * columns + j;
    const float slope = PointSlopeOf(inputs.loss, inputs.p[i], inputs.targets[i], inputs.Number());
    dp[i] = scale.Of(row) / static_cast<float>(columns) * slope;
  });
}

}  // namespace beamline::engine::cuda
