// Losses that compare the rows of a batch, and rows of unit length. Formulas: Graph::PairLoss.
#include <cmath>
#include <limits>

#include "engine/backend/functors.h"
#include "engine/backend/reference/kernels.h"

namespace beamline::engine::reference {
namespace {

template <typename T>
class Pairs {
 public:
  explicit Pairs(const KernelCall& call)
      : rows(call.inputs[0].rows),
        columns(call.inputs[0].columns),
        triplet(call.attributes->loss == LossKind::kTriplet),
        p_(In<T>(call, 0)),
        labels_(In<int32_t>(call, 1)) {
    if (call.attributes->has_weights) weights_ = In<T>(call, next++);
    if (call.attributes->has_class_weights) class_weights_ = In<T>(call, next++);
    number = In<T>(call, next++)[0];
  }

  const T* Row(int64_t i) const { return p_ + i * columns; }
  bool Counts(int64_t k) const { return weights_ == nullptr || weights_[k] != T(0); }
  bool IsPositive(int64_t i, int64_t k) const {
    return k != i && Counts(k) && labels_[k] == labels_[i];
  }
  bool IsNegative(int64_t i, int64_t k) const { return Counts(k) && labels_[k] != labels_[i]; }
  int64_t Positives(int64_t i) const {
    int64_t count = 0;
    for (int64_t k = 0; k < rows; ++k) count += IsPositive(i, k) ? 1 : 0;
    return count;
  }
  int64_t Negatives(int64_t i) const {
    int64_t count = 0;
    for (int64_t k = 0; k < rows; ++k) count += IsNegative(i, k) ? 1 : 0;
    return count;
  }
  // Event weight times class weight; 0 for a row that has nothing to be compared with.
  T Weight(int64_t i) const {
    if (Positives(i) == 0 || (triplet && Negatives(i) == 0)) return 0;
    const T weight = weights_ != nullptr ? weights_[i] : T(1);
    return class_weights_ != nullptr ? weight * class_weights_[labels_[i]] : weight;
  }
  T Similarity(int64_t i, int64_t k) const {
    T sum = 0;
    for (int64_t j = 0; j < columns; ++j) sum += Row(i)[j] * Row(k)[j];
    return sum / number;
  }
  T Distance(int64_t i, int64_t k) const {
    T sum = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const T d = Row(i)[j] - Row(k)[j];
      sum += d * d;
    }
    return sum;
  }
  // log sum over k != i of exp(similarity)
  T LogSumExp(int64_t i) const {
    T largest = -std::numeric_limits<T>::max();
    for (int64_t k = 0; k < rows; ++k) {
      if (k != i && Counts(k)) largest = math::Max(largest, Similarity(i, k));
    }
    T sum = 0;
    for (int64_t k = 0; k < rows; ++k) {
      if (k != i && Counts(k)) sum += math::Exp(Similarity(i, k) - largest);
    }
    return largest + math::Log(sum);
  }
  T Loss(int64_t i) const {
    const auto positives = static_cast<T>(Positives(i));
    const auto negatives = static_cast<T>(Negatives(i));
    if (positives == T(0) || (triplet && negatives == T(0))) return 0;
    T sum = 0;
    for (int64_t k = 0; k < rows; ++k) {
      if (!IsPositive(i, k)) continue;
      if (!triplet) sum += LogSumExp(i) - Similarity(i, k);
      for (int64_t n = 0; triplet && n < rows; ++n) {
        if (IsNegative(i, n)) sum += math::Max(number + Distance(i, k) - Distance(i, n), T(0));
      }
    }
    return sum / (triplet ? positives * negatives : positives);
  }

  const int64_t rows;
  const int64_t columns;
  const bool triplet;
  int next = 2;  // the first input after the optional ones
  T number = 0;

 private:
  const T* p_;
  const int32_t* labels_;
  const T* weights_ = nullptr;
  const T* class_weights_ = nullptr;
};

// Adds scale * gradient of row i's loss.
template <typename T>
void AddInfoNce(const Pairs<T>& pairs, int64_t i, T scale, T* dp) {
  const auto positives = static_cast<T>(pairs.Positives(i));
  const T norm = pairs.LogSumExp(i);
  for (int64_t k = 0; k < pairs.rows; ++k) {
    if (k == i || !pairs.Counts(k)) continue;
    const T share = pairs.IsPositive(i, k) ? T(1) / positives : T(0);
    const T slope = scale / pairs.number * (math::Exp(pairs.Similarity(i, k) - norm) - share);
    for (int64_t j = 0; j < pairs.columns; ++j) {
      dp[i * pairs.columns + j] += slope * pairs.Row(k)[j];
      dp[k * pairs.columns + j] += slope * pairs.Row(i)[j];
    }
  }
}

template <typename T>
void AddTriplets(const Pairs<T>& pairs, int64_t i, T scale, T* dp) {
  const T slope = T(2) * scale / static_cast<T>(pairs.Positives(i) * pairs.Negatives(i));
  const int64_t columns = pairs.columns;
  for (int64_t k = 0; k < pairs.rows; ++k) {
    for (int64_t n = 0; pairs.IsPositive(i, k) && n < pairs.rows; ++n) {
      if (!pairs.IsNegative(i, n)) continue;
      if (!(pairs.number + pairs.Distance(i, k) - pairs.Distance(i, n) > T(0))) continue;
      for (int64_t j = 0; j < columns; ++j) {
        const T to_positive = pairs.Row(i)[j] - pairs.Row(k)[j];
        const T to_negative = pairs.Row(i)[j] - pairs.Row(n)[j];
        dp[i * columns + j] += slope * (to_positive - to_negative);
        dp[k * columns + j] -= slope * to_positive;
        dp[n * columns + j] += slope * to_negative;
      }
    }
  }
}

}  // namespace

template <typename T>
void PairLoss(const KernelCall& call, const RunState&) {
  const Pairs<T> pairs(call);
  double sum = 0;
  double weight_sum = 0;
  for (int64_t i = 0; i < pairs.rows; ++i) {
    const double weight = pairs.Weight(i);
    Out<T>(call, 2)[i] = pairs.Loss(i);
    sum += weight * static_cast<double>(Out<T>(call, 2)[i]);
    weight_sum += std::fabs(weight);
  }
  Out<T>(call, 0)[0] = static_cast<T>(weight_sum > 0 ? sum / weight_sum : 0);
  Out<T>(call, 1)[0] = static_cast<T>(weight_sum);
}
BEAMLINE_INSTANTIATE(PairLoss)

template <typename T>
void PairLossGrad(const KernelCall& call, const RunState&) {
  const Pairs<T> pairs(call);
  const T weight_sum = In<T>(call, pairs.next)[0];
  const T upstream = call.attributes->has_scale ? In<T>(call, pairs.next + 1)[0] : T(1);
  T* dp = Out<T>(call, 0);
  for (int64_t i = 0; i < call.outputs[0].elements; ++i) dp[i] = 0;
  for (int64_t i = 0; i < pairs.rows; ++i) {
    const T weight = pairs.Weight(i);
    if (weight == T(0) || weight_sum == T(0)) continue;
    if (pairs.triplet) {
      AddTriplets(pairs, i, upstream * weight / weight_sum, dp);
    } else {
      AddInfoNce(pairs, i, upstream * weight / weight_sum, dp);
    }
  }
}
BEAMLINE_INSTANTIATE(PairLossGrad)

template <typename T>
void UnitRows(const KernelCall& call, const RunState&) {
  const int64_t columns = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    const T* x = In<T>(call, 0) + i * columns;
    T sum = 0;
    for (int64_t j = 0; j < columns; ++j) sum += x[j] * x[j];
    const T length = math::Max(math::Sqrt(sum), T(1e-12));
    for (int64_t j = 0; j < columns; ++j) Out<T>(call, 0)[i * columns + j] = x[j] / length;
    Out<T>(call, 1)[i] = length;
  }
}
BEAMLINE_INSTANTIATE(UnitRows)

// dx = (dy - y sum_j y_j dy_j) / length
template <typename T>
void UnitRowsGrad(const KernelCall& call, const RunState&) {
  const int64_t columns = call.outputs[0].columns;
  for (int64_t i = 0; i < call.outputs[0].rows; ++i) {
    const T* dy = In<T>(call, 0) + i * columns;
    const T* y = In<T>(call, 1) + i * columns;
    T dot = 0;
    for (int64_t j = 0; j < columns; ++j) dot += y[j] * dy[j];
    for (int64_t j = 0; j < columns; ++j) {
      Out<T>(call, 0)[i * columns + j] = (dy[j] - y[j] * dot) / In<T>(call, 2)[i];
    }
  }
}
BEAMLINE_INSTANTIATE(UnitRowsGrad)

}  // namespace beamline::engine::reference
