// Losses that compare the rows of a batch, and rows of unit length. Formulas: Graph::PairLoss.
//
// First how near each row is to each other, a warp a pair; then each row's loss, or its slopes by
// that; then the gradient of a row is one chain over the other rows in order.
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/rows.h"

namespace beamline::engine::cuda {
namespace {

constexpr float kLowest = -3.0e38f;

struct Pairs {
  int64_t rows, columns;
  bool triplet;
  const float* p;
  const int32_t* labels;
  const float* weights;
  const float* class_weights;
  const float* number;
  float* near;  // [rows, rows]: similarity over the temperature, or distance

  // 1 for a row of the same label, -1 for one of another, 0 for itself and those that do not count.
  BEAMLINE_DEVICE float Sign(int64_t i, int64_t k) const {
    if (k == i || (weights != nullptr && weights[k] == 0.0f)) return 0.0f;
    return labels[k] == labels[i] ? 1.0f : -1.0f;
  }
  BEAMLINE_DEVICE float Weight(int64_t i) const {
    const float weight = weights != nullptr ? weights[i] : 1.0f;
    return class_weights != nullptr ? weight * class_weights[labels[i]] : weight;
  }
};

// `next`: the first input after the optional ones.
Pairs PairsOf(const KernelCall& call, const RunState& run, int* next) {
  Pairs pairs = {call.inputs[0].rows,
                 call.inputs[0].columns,
                 call.attributes->loss == LossKind::kTriplet,
                 In(call, 0),
                 In<int32_t>(call, 1),
                 nullptr,
                 nullptr,
                 nullptr,
                 SharedScratch(run)};
  *next = 2;
  if (call.attributes->has_weights) pairs.weights = In(call, (*next)++);
  if (call.attributes->has_class_weights) pairs.class_weights = In(call, (*next)++);
  pairs.number = In(call, (*next)++);
  return pairs;
}

void Compare(const RunState& run, const Pairs& pairs) {
  const int64_t rows = pairs.rows;
  Teams<kWarp>(run, rows * rows, 0, [=] BEAMLINE_LAMBDA(Team<kWarp> & team) {
    const float* a = pairs.p + team.index() / rows * pairs.columns;
    const float* b = pairs.p + team.index() % rows * pairs.columns;
    float near = team.Sum<float>(pairs.columns, [&](int64_t j) {
      const float d = a[j] - b[j];
      return pairs.triplet ? d * d : a[j] * b[j];
    });
    if (!pairs.triplet) near /= *pairs.number;
    team.Once([&] { pairs.near[team.index()] = near; });
  });
}

// How many rows a row is compared with.
struct Partners {
  float positives, negatives;
  bool valid;
};

BEAMLINE_DEVICE Partners PartnersOf(Team<kBlock>& team, const Pairs& pairs, int64_t i) {
  Partners partners;
  partners.positives =
      team.Sum<float>(pairs.rows, [&](int64_t k) { return pairs.Sign(i, k) > 0.0f ? 1.0f : 0.0f; });
  partners.negatives =
      team.Sum<float>(pairs.rows, [&](int64_t k) { return pairs.Sign(i, k) < 0.0f ? 1.0f : 0.0f; });
  partners.valid = partners.positives > 0.0f && (!pairs.triplet || partners.negatives > 0.0f);
  return partners;
}

// log sum of exp(near) over the rows that count
BEAMLINE_DEVICE float LogSumExp(Team<kBlock>& team, const Pairs& pairs, int64_t i) {
  const float* near = pairs.near + i * pairs.rows;
  const float largest = team.Max(
      pairs.rows, kLowest, [&](int64_t k) { return pairs.Sign(i, k) != 0.0f ? near[k] : kLowest; });
  return largest + math::Log(team.Sum<float>(pairs.rows, [&](int64_t k) {
           return pairs.Sign(i, k) != 0.0f ? math::Exp(near[k] - largest) : 0.0f;
         }));
}

BEAMLINE_DEVICE float InfoNce(Team<kBlock>& team, const Pairs& pairs, int64_t i,
                              const Partners& partners) {
  const float* near = pairs.near + i * pairs.rows;
  const float norm = LogSumExp(team, pairs, i);
  const float sum = team.Sum<float>(
      pairs.rows, [&](int64_t k) { return pairs.Sign(i, k) > 0.0f ? norm - near[k] : 0.0f; });
  return sum / partners.positives;
}

BEAMLINE_DEVICE float Triplets(Team<kBlock>& team, const Pairs& pairs, int64_t i,
                               const Partners& partners) {
  const float* near = pairs.near + i * pairs.rows;
  const float margin = *pairs.number;
  const float sum = team.Sum<float>(pairs.rows, [&](int64_t n) {
    if (!(pairs.Sign(i, n) < 0.0f)) return 0.0f;
    float of_negative = 0;
    for (int64_t k = 0; k < pairs.rows; ++k) {
      if (pairs.Sign(i, k) > 0.0f) of_negative += math::Max(margin + near[k] - near[n], 0.0f);
    }
    return of_negative;
  });
  return sum / (partners.positives * partners.negatives);
}

// slope[k] = scale * derivative of row i's loss by near[k], or by p_i p_k.
BEAMLINE_DEVICE void InfoNceSlopes(Team<kBlock>& team, const Pairs& pairs, int64_t i,
                                   const Partners& partners, float scale, float* slope) {
  const float* near = pairs.near + i * pairs.rows;
  const float norm = LogSumExp(team, pairs, i);
  const float share = 1.0f / partners.positives;
  const float factor = scale / *pairs.number;
  team.For(pairs.rows, [&](int64_t k) {
    const float sign = pairs.Sign(i, k);
    const float e = math::Exp(near[k] - norm) - (sign > 0.0f ? share : 0.0f);
    slope[k] = sign != 0.0f ? factor * e : 0.0f;
  });
}

BEAMLINE_DEVICE void TripletSlopes(Team<kBlock>& team, const Pairs& pairs, int64_t i,
                                   const Partners& partners, float scale, float* slope) {
  const float* near = pairs.near + i * pairs.rows;
  const float margin = *pairs.number;
  const float factor = scale / (partners.positives * partners.negatives);
  team.For(pairs.rows, [&](int64_t k) {
    const float sign = pairs.Sign(i, k);
    // Small whole numbers: exact.
    float active = 0;
    for (int64_t other = 0; sign != 0.0f && other < pairs.rows; ++other) {
      if (!(sign * pairs.Sign(i, other) < 0.0f)) continue;
      const float positive = near[sign > 0.0f ? k : other];
      const float negative = near[sign > 0.0f ? other : k];
      active += margin + positive - negative > 0.0f ? 1.0f : 0.0f;
    }
    slope[k] = factor * (sign * active);
  });
}

void Slopes(const RunState& run, const Pairs& pairs, const float* weight_sum, const float* upstream,
            float* slopes) {
  Teams<kBlock>(run, pairs.rows, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const int64_t i = team.index();
    float* slope = slopes + i * pairs.rows;
    const Partners partners = PartnersOf(team, pairs, i);
    if (!partners.valid || !(*weight_sum > 0.0f)) {
      return team.For(pairs.rows, [&](int64_t k) { slope[k] = 0; });
    }
    const float from = upstream != nullptr ? *upstream : 1.0f;
    const float scale = from * pairs.Weight(i) / *weight_sum;
    if (pairs.triplet) {
      TripletSlopes(team, pairs, i, partners, scale, slope);
    } else {
      InfoNceSlopes(team, pairs, i, partners, scale, slope);
    }
  });
}

}  // namespace

// Pairs::near and the weights [rows].
Scratch PairLossScratch(const KernelCall& call) {
  const int64_t rows = call.inputs[0].rows;
  return {rows * (rows + 1) * static_cast<int64_t>(sizeof(float)), 0};
}

void PairLoss(const KernelCall& call, const RunState& run) {
  int next = 0;
  const Pairs pairs = PairsOf(call, run, &next);
  const int64_t rows = pairs.rows;
  float* weights = pairs.near + rows * rows;
  float* losses = Out(call, 2);
  Compare(run, pairs);
  Teams<kBlock>(run, rows, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const int64_t i = team.index();
    const Partners partners = PartnersOf(team, pairs, i);
    float loss = 0;
    if (partners.valid) {
      loss = pairs.triplet ? Triplets(team, pairs, i, partners) : InfoNce(team, pairs, i, partners);
    }
    team.Once([&] {
      losses[i] = loss;
      weights[i] = partners.valid ? pairs.Weight(i) : 0.0f;
    });
  });
  Teams<kTotal>(run, 1, 0,
                WeightedMean<RowWeights>{rows, losses, {weights}, Out(call, 0), Out(call, 1)});
}

// Pairs::near and the slopes by it [rows, rows].
Scratch PairLossGradScratch(const KernelCall& call) {
  const int64_t rows = call.inputs[0].rows;
  return {2 * rows * rows * static_cast<int64_t>(sizeof(float)), 0};
}

void PairLossGrad(const KernelCall& call, const RunState& run) {
  int next = 0;
  const Pairs pairs = PairsOf(call, run, &next);
  const int64_t rows = pairs.rows;
  const int64_t columns = pairs.columns;
  float* slopes = pairs.near + rows * rows;
  float* dp = Out(call, 0);
  Compare(run, pairs);
  Slopes(run, pairs, In(call, next), call.attributes->has_scale ? In(call, next + 1) : nullptr,
         slopes);
  Cells(run, rows, columns, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const float own = pairs.p[i * columns + j];
    float sum = 0;
    for (int64_t k = 0; k < rows; ++k) {
      const float slope = slopes[i * rows + k] + slopes[k * rows + i];
      const float other = pairs.p[k * columns + j];
      sum =
          pairs.triplet ? math::Fma(2.0f * slope, own - other, sum) : math::Fma(slope, other, sum);
    }
    dp[i * columns + j] = sum;
  });
}

namespace {

struct UnitRow {
  const float* x;
  float* y;
  float* lengths;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* from = x + row * columns;
    float* to = y + row * columns;
    const float sum =
        group.template Sum<float>(columns, [&](int64_t j) { return from[j] * from[j]; });
    const float length = math::Max(math::Sqrt(sum), 1e-12f);
    group.For(columns, [&](int64_t j) { to[j] = from[j] / length; });
    group.Once([&] { lengths[row] = length; });
  }
};

// dx = (dy - y sum_j y_j dy_j) / length
struct UnitRowGrad {
  const float* dy;
  const float* y;
  const float* lengths;
  float* dx;
  int64_t columns;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const int64_t first = row * columns;
    const float dot =
        group.template Sum<float>(columns, [&](int64_t j) { return y[first + j] * dy[first + j]; });
    const float length = lengths[row];
    group.For(columns,
              [&](int64_t j) { dx[first + j] = (dy[first + j] - y[first + j] * dot) / length; });
  }
};

}  // namespace

void UnitRows(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  EachRow(run, call.outputs[0].rows, columns,
          UnitRow{In(call, 0), Out(call, 0), Out(call, 1), columns});
}

void UnitRowsGrad(const KernelCall& call, const RunState& run) {
  const int64_t columns = call.outputs[0].columns;
  EachRow(run, call.outputs[0].rows, columns,
          UnitRowGrad{In(call, 0), In(call, 1), In(call, 2), Out(call, 0), columns});
}

}  // namespace beamline::engine::cuda
