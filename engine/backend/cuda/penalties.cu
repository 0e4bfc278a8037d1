// Noise, samples of a latent layer, and losses that layers add. Formulas: Graph.
#include "engine/backend/cuda/columns.h"
#include "engine/backend/cuda/kernels.h"
#include "engine/backend/cuda/random.h"
#include "engine/backend/cuda/rows.h"
#include "engine/backend/cuda/totals.h"

namespace beamline::engine::cuda {

// Elements 2 i and 2 i + 1 are a pair by Box and Muller, from words 0 and 1 (even i) or 2 and 3
// (odd i) of Philox block (i / 2, stream, step).
void Gaussian(const KernelCall& call, const RunState& run) {
  const float* scale = In(call, 0);
  float* y = Out(call, 0);
  const int64_t elements = call.outputs[0].elements;
  Draw(run, elements, call.attributes->stream,
       [=] BEAMLINE_LAMBDA(int64_t block, const PhiloxBlock& drawn) {
         for (int pair = 0; pair < 4; pair += 2) {
           const int64_t i = 4 * block + pair;
           const float radius =
               math::Sqrt(-2.0f * math::Log(1.0f - UniformFromBits(drawn.word[pair])));
           const float turn = UniformFromBits(drawn.word[pair + 1]);
           if (i < elements) y[i] = *scale * (radius * math::CosTurn(turn));
           if (i + 1 < elements) y[i + 1] = *scale * (radius * math::SinTurn(turn));
         }
       });
}

void Sample(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const float* noise = In(call, 1);
  float* y = Out(call, 0);
  const int64_t k = call.outputs[0].columns;
  Cells(run, call.outputs[0].rows, k, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const float* mean = x + i * 2 * k;
    const float deviation = math::Exp(0.5f * mean[k + j]);
    y[i * k + j] = math::Fma(deviation, noise[i * k + j], mean[j]);
  });
}

void SampleGrad(const KernelCall& call, const RunState& run) {
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  const float* noise = In(call, 2);
  float* dx = Out(call, 0);
  const int64_t k = call.inputs[0].columns;
  Cells(run, call.inputs[0].rows, k, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const int64_t mean = i * 2 * k + j;
    const float half = 0.5f * math::Exp(0.5f * x[mean + k]);
    const float slope = dy[i * k + j];
    dx[mean] = slope;
    dx[mean + k] = slope * (half * noise[i * k + j]);
  });
}

namespace {

struct LatentRow {
  const float* x;
  float* losses;
  int64_t k;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t row) const {
    const float* mean = x + row * 2 * k;
    const float loss = group.template Sum<float>(k, [&](int64_t j) {
      return mean[j] * mean[j] + (math::Exp(mean[k + j]) - 1.0f) - mean[k + j];
    });
    group.Once([&] { losses[row] = 0.5f * loss; });
  }
};

}  // namespace

void LatentLoss(const KernelCall& call, const RunState& run) {
  const int64_t rows = call.inputs[0].rows;
  const int64_t k = call.inputs[0].columns / 2;
  const float* weights = call.attributes->has_weights ? In(call, 1) : nullptr;
  float* losses = Out(call, 2);
  RowsThenTotal(run, rows, k, LatentRow{In(call, 0), losses, k},
                WeightedMean<RowWeights>{rows, losses, {weights}, Out(call, 0), Out(call, 1)});
}

void LatentLossGrad(const KernelCall& call, const RunState& run) {
  const float* x = In(call, 0);
  const RowWeights weights = {call.attributes->has_weights ? In(call, 1) : nullptr};
  const int next = call.attributes->has_weights ? 2 : 1;
  const float* weight_sum = In(call, next);
  const float* upstream = call.attributes->has_scale ? In(call, next + 1) : nullptr;
  float* dx = Out(call, 0);
  const int64_t k = call.inputs[0].columns / 2;
  Cells(run, call.inputs[0].rows, k, [=] BEAMLINE_LAMBDA(int64_t i, int64_t j) {
    const float from = upstream != nullptr ? *upstream : 1.0f;
    const float scale = *weight_sum > 0.0f ? from * weights(i) / *weight_sum : 0.0f;
    const int64_t mean = i * 2 * k + j;
    dx[mean] = scale * x[mean];
    dx[mean + k] = scale * (0.5f * (math::Exp(x[mean + k]) - 1.0f));
  });
}

namespace {

struct Activity {
  int64_t batch, columns, positions;
  const float* x;  // [batch, positions, columns]
  RowWeights weights;
  const float* target;

  BEAMLINE_DEVICE float Weight(int64_t i) const { return math::Abs(weights(i)); }
  BEAMLINE_DEVICE double WeightSum(Team<kTotal>& team) const {
    return team.Sum<double>(batch, [&](int64_t i) { return static_cast<double>(Weight(i)); });
  }
  // The weighted mean of a column, kept away from 0 and 1; from its weighted sum.
  BEAMLINE_DEVICE float Mean(float sum, float weight_sum) const {
    const float all = weight_sum * static_cast<float>(positions);
    return math::Min(math::Max(sum / all, 1e-6f), 1.0f - 1e-6f);
  }
};

// `next`: the first input after the optional ones.
Activity ActivityOf(const KernelCall& call, int* next) {
  const int64_t batch = call.inputs[0].extents[0];
  Activity activity = {batch,
                       call.inputs[0].columns,
                       batch > 0 ? call.inputs[0].rows / batch : 0,
                       In(call, 0),
                       {nullptr},
                       nullptr};
  *next = 1;
  if (call.attributes->has_weights) activity.weights.weights = In(call, (*next)++);
  if (call.attributes->has_number) activity.target = In(call, (*next)++);
  return activity;
}

// sums[j]: the weighted sum of column j, in scratch memory behind what ColumnSums uses.
float* WeightedColumnSums(const RunState& run, const Activity& activity) {
  const int64_t rows = activity.batch * activity.positions;
  const int64_t columns = activity.columns;
  float* sums = SharedScratch(run) + ColumnSumsScratch(rows, columns, 1).shared_bytes /
                                         static_cast<int64_t>(sizeof(float));
  ColumnSums<1>(
      run, rows, columns,
      [=] BEAMLINE_LAMBDA(int64_t row, int64_t j, float* value) {
        *value = activity.Weight(row / activity.positions) * activity.x[row * columns + j];
      },
      [=] BEAMLINE_LAMBDA(int64_t j, const float* sum) { sums[j] = *sum; });
  return sums;
}

Scratch WeightedColumnSumsScratch(const KernelCall& call) {
  Scratch scratch = ColumnSumsScratch(call.inputs[0].rows, call.inputs[0].columns, 1);
  scratch.shared_bytes += call.inputs[0].columns * static_cast<int64_t>(sizeof(float));
  return scratch;
}

// A row of the batch is summed in pieces.
constexpr int64_t kPiece = 4096;

struct AbsolutePiece {
  const float* x;
  float* sums;  // [batch, pieces]
  int64_t per_row, pieces;

  template <typename Group>
  BEAMLINE_DEVICE void operator()(Group& group, int64_t piece) const {
    const int64_t first = piece % pieces * kPiece;
    const float* from = x + piece / pieces * per_row + first;
    const float sum = group.template Sum<float>(math::Min(kPiece, per_row - first),
                                                [&](int64_t j) { return math::Abs(from[j]); });
    group.Once([&] { sums[piece] = sum; });
  }
};

int64_t PiecesOf(int64_t elements) { return (elements + kPiece - 1) / kPiece; }

void MeanActivity(const RunState& run, const Activity& activity, float* loss, float* weight_sum) {
  const int64_t per_row = activity.positions * activity.columns;
  const int64_t pieces = PiecesOf(per_row);
  const int64_t parts = activity.batch * pieces;
  float* sums = SharedScratch(run);
  RowsThenTotal(
      run, parts, math::Min(per_row, kPiece), AbsolutePiece{activity.x, sums, per_row, pieces},
      [=] BEAMLINE_LAMBDA(Team<kTotal> & team) {
        const double all = activity.WeightSum(team);
        const double sum = team.Sum<double>(parts, [&](int64_t i) {
          return static_cast<double>(activity.Weight(i / pieces)) * static_cast<double>(sums[i]);
        });
        team.Once([&] {
          *loss = static_cast<float>(all > 0 ? sum / all : 0);
          *weight_sum = static_cast<float>(all);
        });
      });
}

}  // namespace

Scratch ActivityLossScratch(const KernelCall& call) {
  if (call.attributes->has_number) return WeightedColumnSumsScratch(call);
  const int64_t batch = call.inputs[0].extents[0];
  const int64_t pieces = batch > 0 ? PiecesOf(call.inputs[0].elements / batch) : 0;
  return {batch * pieces * static_cast<int64_t>(sizeof(float)), 0};
}

void ActivityLoss(const KernelCall& call, const RunState& run) {
  int next = 0;
  const Activity activity = ActivityOf(call, &next);
  float* loss = Out(call, 0);
  float* weight_sum = Out(call, 1);
  if (activity.target == nullptr) return MeanActivity(run, activity, loss, weight_sum);
  const float* sums = WeightedColumnSums(run, activity);
  Teams<kTotal>(run, 1, 0, [=] BEAMLINE_LAMBDA(Team<kTotal> & team) {
    const double all = activity.WeightSum(team);
    const float r = *activity.target;
    const double sum = team.Sum<double>(activity.columns, [&](int64_t j) {
      const float m = activity.Mean(sums[j], static_cast<float>(all));
      return static_cast<double>(r * (math::Log(r) - math::Log(m)) +
                                 (1.0f - r) * (math::Log(1.0f - r) - math::Log(1.0f - m)));
    });
    team.Once([&] {
      *loss = static_cast<float>(all > 0 ? sum : 0);
      *weight_sum = static_cast<float>(all);
    });
  });
}

Scratch ActivityLossGradScratch(const KernelCall& call) {
  return call.attributes->has_number ? WeightedColumnSumsScratch(call) : Scratch{};
}

void ActivityLossGrad(const KernelCall& call, const RunState& run) {
  int next = 0;
  const Activity activity = ActivityOf(call, &next);
  const float* weight_sum = In(call, next);
  const float* upstream = call.attributes->has_scale ? In(call, next + 1) : nullptr;
  const float* sums = activity.target != nullptr ? WeightedColumnSums(run, activity) : nullptr;
  float* dx = Out(call, 0);
  const int64_t columns = activity.columns;
  Cells(run, call.inputs[0].rows, columns, [=] BEAMLINE_LAMBDA(int64_t row, int64_t j) {
    const float x = activity.x[row * columns + j];
    float slope = x > 0.0f ? 1.0f : (x < 0.0f ? -1.0f : x);
    if (sums != nullptr) {
      const float r = *activity.target;
      const float m = activity.Mean(sums[j], *weight_sum);
      slope = ((1.0f - r) / (1.0f - m) - r / m) / static_cast<float>(activity.positions);
      if (!(*weight_sum > 0.0f)) slope = 0;
    }
    const float from = upstream != nullptr ? *upstream : 1.0f;
    const float share = *weight_sum > 0.0f ? from / *weight_sum : 0.0f;
    dx[row * columns + j] = share * activity.Weight(row / activity.positions) * slope;
  });
}

Scratch WeightPenaltyScratch(const KernelCall& call) {
  return {TotalsBytes(call.inputs[0].elements, 2), 0};
}

void WeightPenalty(const KernelCall& call, const RunState& run) {
  const float* w = In(call, 0);
  const float* l1 = In(call, 1);
  const float* l2 = In(call, 2);
  float* penalty = Out(call, 0);
  Totals<2>(
      run, call.inputs[0].elements, SharedScratch<double>(run),
      [=] BEAMLINE_LAMBDA(int64_t i, int which) {
        const double x = w[i];
        return which == 0 ? math::Abs(x) : x * x;
      },
      [=] BEAMLINE_LAMBDA(const double* sums) {
        *penalty = static_cast<float>(static_cast<double>(*l1) * sums[0] +
                                      static_cast<double>(*l2) * sums[1]);
      });
}

void WeightPenaltyGrad(const KernelCall& call, const RunState& run) {
  const float* w = In(call, 0);
  const float* l1 = In(call, 1);
  const float* l2 = In(call, 2);
  const float* upstream = call.attributes->has_scale ? In(call, 3) : nullptr;
  float* dw = Out(call, 0);
  Each(run, call.inputs[0].elements, [=] BEAMLINE_LAMBDA(int64_t i) {
    const float from = upstream != nullptr ? *upstream : 1.0f;
    const float sign = w[i] > 0.0f ? 1.0f : (w[i] < 0.0f ? -1.0f : w[i]);
    dw[i] = math::Fma(2.0f * (from * *l2), w[i], from * *l1 * sign);
  });
}

}  // namespace beamline::engine::cuda
