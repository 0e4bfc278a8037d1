// Noise, samples of a latent layer, and losses that layers add. Formulas: Graph.
#include <cmath>

#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"
#include "engine/core/philox.h"

namespace beamline::engine::reference {

// Elements 2 i and 2 i + 1 are a pair by Box and Muller, from words 0 and 1 (even i) or 2 and 3
// (odd i) of Philox block (i / 2, stream, step).
template <typename T>
void Gaussian(const KernelCall& call, const RunState& run) {
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) {
    const PhiloxBlock block =
        Philox4x32(static_cast<uint32_t>(run.seed), static_cast<uint32_t>(run.seed >> 32),
                   static_cast<uint32_t>(i / 4), static_cast<uint32_t>(call.attributes->stream),
                   static_cast<uint32_t>(run.step), static_cast<uint32_t>(run.step >> 32));
    const int64_t pair = i % 4 / 2 * 2;
    const float radius = math::Sqrt(-2.0f * math::Log(1.0f - UniformFromBits(block.word[pair])));
    const float turn = UniformFromBits(block.word[pair + 1]);
    const float normal = radius * (i % 2 == 0 ? math::CosTurn(turn) : math::SinTurn(turn));
    Out<T>(call, 0)[i] = In<T>(call, 0)[0] * static_cast<T>(normal);
  }
}
BEAMLINE_INSTANTIATE(Gaussian)

template <typename T>
void Sample(const KernelCall& call, const RunState&) {
  const int64_t k = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    const T* mean = In<T>(call, 0) + i * 2 * k;
    for (int64_t j = 0; j < k; ++j) {
      const T deviation = math::Exp(T(0.5) * mean[k + j]);
      Out<T>(call, 0)[i * k + j] = math::Fma(deviation, In<T>(call, 1)[i * k + j], mean[j]);
    }
  }
}
BEAMLINE_INSTANTIATE(Sample)

template <typename T>
void SampleGrad(const KernelCall& call, const RunState&) {
  const int64_t k = call.inputs[0].columns;
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    const T* log_variance = In<T>(call, 1) + i * 2 * k + k;
    for (int64_t j = 0; j < k; ++j) {
      const T dy = In<T>(call, 0)[i * k + j];
      const T half = T(0.5) * math::Exp(T(0.5) * log_variance[j]);
      Out<T>(call, 0)[i * 2 * k + j] = dy;
      Out<T>(call, 0)[i * 2 * k + k + j] = dy * (half * In<T>(call, 2)[i * k + j]);
    }
  }
}
BEAMLINE_INSTANTIATE(SampleGrad)

template <typename T>
void LatentLoss(const KernelCall& call, const RunState&) {
  const int64_t k = call.inputs[0].columns / 2;
  double sum = 0;
  double weight_sum = 0;
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    const T* mean = In<T>(call, 0) + i * 2 * k;
    T loss = 0;
    for (int64_t j = 0; j < k; ++j) {
      loss += mean[j] * mean[j] + (math::Exp(mean[k + j]) - T(1)) - mean[k + j];
    }
    Out<T>(call, 2)[i] = T(0.5) * loss;
    const double weight = call.attributes->has_weights ? In<T>(call, 1)[i] : T(1);
    sum += weight * static_cast<double>(Out<T>(call, 2)[i]);
    weight_sum += std::fabs(weight);
  }
  Out<T>(call, 0)[0] = static_cast<T>(weight_sum > 0 ? sum / weight_sum : 0);
  Out<T>(call, 1)[0] = static_cast<T>(weight_sum);
}
BEAMLINE_INSTANTIATE(LatentLoss)

template <typename T>
void LatentLossGrad(const KernelCall& call, const RunState&) {
  const int64_t k = call.inputs[0].columns / 2;
  const int next = call.attributes->has_weights ? 2 : 1;
  const T weight_sum = In<T>(call, next)[0];
  const T upstream = call.attributes->has_scale ? In<T>(call, next + 1)[0] : T(1);
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    const T weight = call.attributes->has_weights ? In<T>(call, 1)[i] : T(1);
    const T scale = weight_sum > T(0) ? upstream * weight / weight_sum : T(0);
    const T* mean = In<T>(call, 0) + i * 2 * k;
    for (int64_t j = 0; j < k; ++j) {
      Out<T>(call, 0)[i * 2 * k + j] = scale * mean[j];
      Out<T>(call, 0)[i * 2 * k + k + j] = scale * (T(0.5) * (math::Exp(mean[k + j]) - T(1)));
    }
  }
}
BEAMLINE_INSTANTIATE(LatentLossGrad)

namespace {

template <typename T>
struct Activity {
  explicit Activity(const KernelCall& call)
      : x(In<T>(call, 0)),
        batch(call.inputs[0].extents[0]),
        columns(call.inputs[0].columns),
        per_row(batch > 0 ? call.inputs[0].elements / batch : 0) {
    if (call.attributes->has_weights) weights = In<T>(call, next++);
    if (call.attributes->has_number) target = In<T>(call, next++);
    for (int64_t i = 0; i < batch; ++i) weight_sum += static_cast<double>(Weight(i));
  }

  T Weight(int64_t i) const { return weights != nullptr ? math::Abs(weights[i]) : T(1); }
  // The weighted mean of a column, kept away from 0 and 1.
  T Mean(int64_t column) const {
    T sum = 0;
    for (int64_t i = 0; i < batch; ++i) {
      for (int64_t j = column; j < per_row; j += columns) {
        sum = math::Fma(Weight(i), x[i * per_row + j], sum);
      }
    }
    const T all = static_cast<T>(weight_sum) * static_cast<T>(per_row / columns);
    return math::Min(math::Max(sum / all, T(1e-6)), T(1) - T(1e-6));
  }

  const T* x;
  int64_t batch, columns, per_row;
  int next = 1;  // the first input after the optional ones
  const T* weights = nullptr;
  const T* target = nullptr;
  double weight_sum = 0;
};

}  // namespace

template <typename T>
void ActivityLoss(const KernelCall& call, const RunState&) {
  const Activity<T> activity(call);
  double loss = 0;
  if (activity.target != nullptr && activity.weight_sum > 0) {
    const T r = activity.target[0];
    for (int64_t j = 0; j < activity.columns; ++j) {
      const T m = activity.Mean(j);
      loss += static_cast<double>(r * (math::Log(r) - math::Log(m)) +
                                  (T(1) - r) * (math::Log(T(1) - r) - math::Log(T(1) - m)));
    }
  } else if (activity.weight_sum > 0) {
    for (int64_t i = 0; i < activity.batch; ++i) {
      T sum = 0;
      for (int64_t j = 0; j < activity.per_row; ++j) {
        sum += math::Abs(activity.x[i * activity.per_row + j]);
      }
      loss += static_cast<double>(activity.Weight(i)) * static_cast<double>(sum);
    }
    loss /= activity.weight_sum;
  }
  Out<T>(call, 0)[0] = static_cast<T>(loss);
  Out<T>(call, 1)[0] = static_cast<T>(activity.weight_sum);
}
BEAMLINE_INSTANTIATE(ActivityLoss)

template <typename T>
void ActivityLossGrad(const KernelCall& call, const RunState&) {
  const Activity<T> activity(call);
  const T upstream = call.attributes->has_scale ? In<T>(call, activity.next + 1)[0] : T(1);
  const T weight_sum = In<T>(call, activity.next)[0];
  const T share = weight_sum > T(0) ? upstream / weight_sum : T(0);
  const T positions = static_cast<T>(activity.per_row / activity.columns);
  for (int64_t column = 0; column < activity.columns; ++column) {
    T slope = 0;
    if (activity.target != nullptr && weight_sum > T(0)) {
      const T r = activity.target[0];
      const T m = activity.Mean(column);
      slope = ((T(1) - r) / (T(1) - m) - r / m) / positions;
    }
    for (int64_t i = 0; i < activity.batch; ++i) {
      for (int64_t j = column; j < activity.per_row; j += activity.columns) {
        const T x = activity.x[i * activity.per_row + j];
        const T sign = x > T(0) ? T(1) : (x < T(0) ? T(-1) : x);
        Out<T>(call, 0)[i * activity.per_row + j] =
            share * activity.Weight(i) * (activity.target != nullptr ? slope : sign);
      }
    }
  }
}
BEAMLINE_INSTANTIATE(ActivityLossGrad)

template <typename T>
void WeightPenalty(const KernelCall& call, const RunState&) {
  double absolute = 0;
  double squares = 0;
  for (int64_t i = 0; i < call.inputs[0].elements; ++i) {
    const double w = In<T>(call, 0)[i];
    absolute += std::fabs(w);
    squares += w * w;
  }
  Out<T>(call, 0)[0] = static_cast<T>(static_cast<double>(In<T>(call, 1)[0]) * absolute +
                                      static_cast<double>(In<T>(call, 2)[0]) * squares);
}
BEAMLINE_INSTANTIATE(WeightPenalty)

template <typename T>
void WeightPenaltyGrad(const KernelCall& call, const RunState&) {
  const T upstream = call.attributes->has_scale ? In<T>(call, 3)[0] : T(1);
  const T l1 = upstream * In<T>(call, 1)[0];
  const T l2 = T(2) * (upstream * In<T>(call, 2)[0]);
  for (int64_t i = 0; i < call.inputs[0].elements; ++i) {
    const T w = In<T>(call, 0)[i];
    const T sign = w > T(0) ? T(1) : (w < T(0) ? T(-1) : w);
    Out<T>(call, 0)[i] = math::Fma(l2, w, l1 * sign);
  }
}
BEAMLINE_INSTANTIATE(WeightPenaltyGrad)

}  // namespace beamline::engine::reference
