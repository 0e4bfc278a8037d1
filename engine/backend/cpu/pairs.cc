// Losses that compare the rows of a batch, and rows of unit length. Formulas: Graph::PairLoss.
//
// A row's loss and the slopes by its similarities (or distances) are made by one thread; the
// gradient of a row is then one chain over the other rows in order.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/functors.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {
namespace {

constexpr float kLowest = -3.0e38f;

struct Pairs {
  int64_t rows, columns;
  bool triplet;
  int next;  // the first input after the optional ones
  const float* p;
  const int32_t* labels;
  const float* weights;
  const float* class_weights;
  float number;
};

inline Pairs PairsOf(const KernelCall& call) {
  const Attributes& attributes = *call.attributes;
  Pairs pairs = {call.inputs[0].rows,
                 call.inputs[0].columns,
                 attributes.loss == LossKind::kTriplet,
                 2,
                 In(call, 0),
                 static_cast<const int32_t*>(call.inputs[1].data),
                 nullptr,
                 nullptr,
                 0};
  if (attributes.has_weights) pairs.weights = In(call, pairs.next++);
  if (attributes.has_class_weights) pairs.class_weights = In(call, pairs.next++);
  pairs.number = In(call, pairs.next++)[0];
  return pairs;
}

// What row i is to the others: sign[k] is 1 for those of its label, -1 for those of others, 0 for
// itself and those that do not count; near[k] their similarity over the temperature, or distance.
struct RowView {
  float* sign;  // [rows]
  float* near;  // [rows]
  float positives, negatives;
  bool valid;
};

inline RowView ViewOf(const Pairs& pairs, int64_t i, float* memory) {
  RowView view = {memory, memory + pairs.rows, 0, 0, false};
  const float* row = pairs.p + i * pairs.columns;
  for (int64_t k = 0; k < pairs.rows; ++k) {
    const bool counts = k != i && (pairs.weights == nullptr || pairs.weights[k] != 0.0f);
    const bool same = pairs.labels[k] == pairs.labels[i];
    view.sign[k] = counts ? (same ? 1.0f : -1.0f) : 0.0f;
    view.positives += counts && same ? 1.0f : 0.0f;
    view.negatives += counts && !same ? 1.0f : 0.0f;
    const float* other = pairs.p + k * pairs.columns;
    if (pairs.triplet) {
      view.near[k] = LaneSum(pairs.columns, [&](int64_t j) {
        const float d = row[j] - other[j];
        return d * d;
      });
    } else {
      view.near[k] = LaneSum(pairs.columns, [&](int64_t j) { return row[j] * other[j]; });
      view.near[k] /= pairs.number;
    }
  }
  view.valid = view.positives > 0.0f && (!pairs.triplet || view.negatives > 0.0f);
  return view;
}

// log sum of exp(near) over the rows that count
inline float LogSumExp(const Pairs& pairs, const RowView& view) {
  float largest = kLowest;
  for (int64_t k = 0; k < pairs.rows; ++k) {
    largest = math::Max(largest, view.sign[k] != 0.0f ? view.near[k] : kLowest);
  }
  return largest + math::Log(LaneSum(pairs.rows, [&](int64_t k) {
           const float e = math::Exp(view.near[k] - largest);
           return view.sign[k] != 0.0f ? e : 0.0f;
         }));
}

inline float InfoNce(const Pairs& pairs, const RowView& view) {
  const float norm = LogSumExp(pairs, view);
  const float sum = LaneSum(
      pairs.rows, [&](int64_t k) { return view.sign[k] > 0.0f ? norm - view.near[k] : 0.0f; });
  return sum / view.positives;
}

inline float Triplets(const Pairs& pairs, const RowView& view) {
  float sum = 0;
  for (int64_t k = 0; k < pairs.rows; ++k) {
    if (!(view.sign[k] > 0.0f)) continue;
    const float limit = pairs.number + view.near[k];
    sum += LaneSum(pairs.rows, [&](int64_t n) {
      const float excess = math::Max(limit - view.near[n], 0.0f);
      return view.sign[n] < 0.0f ? excess : 0.0f;
    });
  }
  return sum / (view.positives * view.negatives);
}

// slope[k] = scale * derivative of the row's loss by p_i p_k, or by |p_i - p_k|^2.
inline void InfoNceSlopes(const Pairs& pairs, const RowView& view, float scale, float* slope) {
  const float norm = LogSumExp(pairs, view);
  const float share = 1.0f / view.positives;
  const float factor = scale / pairs.number;
  Fill(slope, 0, pairs.rows, [&](int64_t k) {
    const float e = math::Exp(view.near[k] - norm) - (view.sign[k] > 0.0f ? share : 0.0f);
    return view.sign[k] != 0.0f ? factor * e : 0.0f;
  });
}

inline void TripletSlopes(const Pairs& pairs, const RowView& view, float scale, float* slope) {
  for (int64_t k = 0; k < pairs.rows; ++k) slope[k] = 0;
  for (int64_t k = 0; k < pairs.rows; ++k) {
    if (!(view.sign[k] > 0.0f)) continue;
    const float limit = pairs.number + view.near[k];
    // Small whole numbers: exact in any order.
    float active = 0;
    for (int64_t n = 0; n < pairs.rows; ++n) {
      const float one = view.sign[n] < 0.0f && limit - view.near[n] > 0.0f ? 1.0f : 0.0f;
      slope[n] -= one;
      active += one;
    }
    slope[k] += active;
  }
  const float factor = scale / (view.positives * view.negatives);
  for (int64_t k = 0; k < pairs.rows; ++k) slope[k] *= factor;
}

inline int64_t Cost(const Pairs& pairs) { return pairs.rows * pairs.rows * pairs.columns; }

}  // namespace

// Shared scratch: [rows], whether a row counts. Of each thread: RowView.
void PairLoss(const KernelCall& call, const RunState& run) {
  const Pairs pairs = PairsOf(call);
  float* valid = SharedScratch(run);
  ForTilesInSlots(run, pairs.rows, Cost(pairs), [&](int64_t i, int slot) {
    const RowView view = ViewOf(pairs, i, ThreadScratch(run, slot));
    valid[i] = view.valid ? 1.0f : 0.0f;
    float loss = 0;
    if (view.valid) loss = pairs.triplet ? Triplets(pairs, view) : InfoNce(pairs, view);
    Out(call, 2)[i] = loss;
  });
  double sum = 0;
  double weight_sum = 0;
  for (int64_t i = 0; i < pairs.rows; ++i) {
    float weight = pairs.weights != nullptr ? pairs.weights[i] * valid[i] : valid[i];
    if (pairs.class_weights != nullptr) weight *= pairs.class_weights[pairs.labels[i]];
    sum += static_cast<double>(weight) * static_cast<double>(Out(call, 2)[i]);
    weight_sum += math::Abs(static_cast<double>(weight));
  }
  Out(call, 0)[0] = static_cast<float>(weight_sum > 0 ? sum / weight_sum : 0);
  Out(call, 1)[0] = static_cast<float>(weight_sum);
}

// Shared scratch: slopes [rows, rows]. Of each thread: RowView.
void PairLossGrad(const KernelCall& call, const RunState& run) {
  const Pairs pairs = PairsOf(call);
  const float weight_sum = In(call, pairs.next)[0];
  const float upstream = call.attributes->has_scale ? In(call, pairs.next + 1)[0] : 1.0f;
  float* slopes = SharedScratch(run);
  ForTilesInSlots(run, pairs.rows, Cost(pairs), [&](int64_t i, int slot) {
    const RowView view = ViewOf(pairs, i, ThreadScratch(run, slot));
    float* slope = slopes + i * pairs.rows;
    if (!view.valid || !(weight_sum > 0.0f)) {
      for (int64_t k = 0; k < pairs.rows; ++k) slope[k] = 0;
      return;
    }
    float weight = pairs.weights != nullptr ? pairs.weights[i] : 1.0f;
    if (pairs.class_weights != nullptr) weight *= pairs.class_weights[pairs.labels[i]];
    const float scale = upstream * weight / weight_sum;
    if (pairs.triplet) {
      TripletSlopes(pairs, view, scale, slope);
    } else {
      InfoNceSlopes(pairs, view, scale, slope);
    }
  });
  ForTiles(run, pairs.rows, Cost(pairs), [&](int64_t i) {
    const float* row = pairs.p + i * pairs.columns;
    float* dp = Out(call, 0) + i * pairs.columns;
    for (int64_t j = 0; j < pairs.columns; ++j) dp[j] = 0;
    for (int64_t k = 0; k < pairs.rows; ++k) {
      const float slope = slopes[i * pairs.rows + k] + slopes[k * pairs.rows + i];
      const float* other = pairs.p + k * pairs.columns;
      if (pairs.triplet) {
        Fill(dp, 0, pairs.columns,
             [&](int64_t j) { return math::Fma(2.0f * slope, row[j] - other[j], dp[j]); });
      } else {
        Fill(dp, 0, pairs.columns, [&](int64_t j) { return math::Fma(slope, other[j], dp[j]); });
      }
    }
  });
}

void UnitRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements * 2, [&](int64_t i) {
    const float* x = In(call, 0) + i * columns;
    const float length =
        math::Max(math::Sqrt(LaneSum(columns, [&](int64_t j) { return x[j] * x[j]; })), 1e-12f);
    Fill(Out(call, 0) + i * columns, 0, columns, [&](int64_t j) { return x[j] / length; });
    Out(call, 1)[i] = length;
  });
}

// dx = (dy - y sum_j y_j dy_j) / length
void UnitRowsGrad(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements * 2, [&](int64_t i) {
    const float* dy = In(call, 0) + i * columns;
    const float* y = In(call, 1) + i * columns;
    const float length = In(call, 2)[i];
    const float dot = LaneSum(columns, [&](int64_t j) { return y[j] * dy[j]; });
    Fill(Out(call, 0) + i * columns, 0, columns,
         [&](int64_t j) { return math::Fma(-y[j], dot, dy[j]) / length; });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
