// Noise, samples of a latent layer, and losses that layers add. Formulas: Graph.
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/functors.h"
#include "engine/core/philox.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

// Elements 2 i and 2 i + 1 are a pair by Box and Muller, from words 0 and 1 (even i) or 2 and 3
// (odd i) of Philox block (i / 2, stream, step).
void Gaussian(const KernelCall& call, const RunState& run) {
  constexpr int kBlocks = 16;  // of Philox, side by side
  const float scale = In(call, 0)[0];
  float* y = Out(call, 0);
  const int64_t elements = call.outputs[0].elements;
  const auto stream = static_cast<uint32_t>(call.attributes->stream);
  ForTiles(run, (elements + 4 * kBlocks - 1) / (4 * kBlocks), elements * 16, [&](int64_t tile) {
    float normal[4][kBlocks];
#pragma GCC ivdep
    for (int b = 0; b < kBlocks; ++b) {
      const PhiloxBlock block =
          Philox4x32(static_cast<uint32_t>(run.seed), static_cast<uint32_t>(run.seed >> 32),
                     static_cast<uint32_t>(tile * kBlocks + b), stream,
                     static_cast<uint32_t>(run.step), static_cast<uint32_t>(run.step >> 32));
      for (int w = 0; w < 4; w += 2) {
        const float radius = math::Sqrt(-2.0f * math::Log(1.0f - UniformFromBits(block.word[w])));
        const float turn = UniformFromBits(block.word[w + 1]);
        normal[w][b] = radius * math::CosTurn(turn);
        normal[w + 1][b] = radius * math::SinTurn(turn);
      }
    }
    const int64_t begin = tile * 4 * kBlocks;
    const int64_t end = begin + 4 * kBlocks < elements ? begin + 4 * kBlocks : elements;
    for (int64_t i = begin; i < end; ++i) y[i] = scale * normal[i % 4][(i - begin) / 4];
  });
}

void Sample(const KernelCall& call, const RunState& run) {
  const int64_t k = call.outputs[0].columns;
  ForTiles(run, call.outputs[0].rows, call.outputs[0].elements * 8, [&](int64_t i) {
    const float* mean = In(call, 0) + i * 2 * k;
    const float* noise = In(call, 1) + i * k;
    Fill(Out(call, 0) + i * k, 0, k,
         [&](int64_t j) { return math::Fma(math::Exp(0.5f * mean[k + j]), noise[j], mean[j]); });
  });
}

void SampleGrad(const KernelCall& call, const RunState& run) {
  const int64_t k = call.inputs[0].columns;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t i) {
    const float* dy = In(call, 0) + i * k;
    const float* log_variance = In(call, 1) + i * 2 * k + k;
    const float* noise = In(call, 2) + i * k;
    float* dx = Out(call, 0) + i * 2 * k;
    Fill(dx, 0, k, [&](int64_t j) { return dy[j]; });
    Fill(dx + k, 0, k,
         [&](int64_t j) { return dy[j] * (0.5f * math::Exp(0.5f * log_variance[j]) * noise[j]); });
  });
}

void LatentLoss(const KernelCall& call, const RunState& run) {
  const int64_t k = call.inputs[0].columns / 2;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t i) {
    const float* mean = In(call, 0) + i * 2 * k;
    const float* log_variance = mean + k;
    const float sum = LaneSum(k, [&](int64_t j) {
      return mean[j] * mean[j] + (math::Exp(log_variance[j]) - 1.0f) - log_variance[j];
    });
    Out(call, 2)[i] = 0.5f * sum;
  });
  const float* weights = call.attributes->has_weights ? In(call, 1) : nullptr;
  double sum = 0;
  double weight_sum = 0;
  for (int64_t i = 0; i < call.inputs[0].rows; ++i) {
    const double weight = weights != nullptr ? static_cast<double>(weights[i]) : 1.0;
    sum += weight * static_cast<double>(Out(call, 2)[i]);
    weight_sum += math::Abs(weight);
  }
  Out(call, 0)[0] = static_cast<float>(weight_sum > 0 ? sum / weight_sum : 0);
  Out(call, 1)[0] = static_cast<float>(weight_sum);
}

void LatentLossGrad(const KernelCall& call, const RunState& run) {
  const int64_t k = call.inputs[0].columns / 2;
  const float* weights = call.attributes->has_weights ? In(call, 1) : nullptr;
  const int next = weights != nullptr ? 2 : 1;
  const float weight_sum = In(call, next)[0];
  const float upstream = call.attributes->has_scale ? In(call, next + 1)[0] : 1.0f;
  ForTiles(run, call.inputs[0].rows, call.inputs[0].elements * 8, [&](int64_t i) {
    const float weight = weights != nullptr ? weights[i] : 1.0f;
    const float scale = weight_sum > 0.0f ? upstream * weight / weight_sum : 0.0f;
    const float* mean = In(call, 0) + i * 2 * k;
    const float* log_variance = mean + k;
    float* dx = Out(call, 0) + i * 2 * k;
    Fill(dx, 0, k, [&](int64_t j) { return scale * mean[j]; });
    Fill(dx + k, 0, k,
         [&](int64_t j) { return scale * (0.5f * (math::Exp(log_variance[j]) - 1.0f)); });
  });
}

namespace {

struct Activity {
  const float* x;
  int64_t batch, columns, per_row;
  int next;  // the first input after the optional ones
  const float* weights;
  const float* target;
  double weight_sum;
};

inline float WeightOf(const Activity& activity, int64_t i) {
  return activity.weights != nullptr ? math::Abs(activity.weights[i]) : 1.0f;
}

inline Activity ActivityOf(const KernelCall& call) {
  const Operand& x = call.inputs[0];
  const int64_t batch = x.extents[0];
  Activity activity = {In(call, 0), batch,   x.columns, batch > 0 ? x.elements / batch : 0,
                       1,           nullptr, nullptr,   0};
  if (call.attributes->has_weights) activity.weights = In(call, activity.next++);
  if (call.attributes->has_number) activity.target = In(call, activity.next++);
  for (int64_t i = 0; i < batch; ++i) {
    activity.weight_sum += static_cast<double>(WeightOf(activity, i));
  }
  return activity;
}

// The weighted mean of each column, kept away from 0 and 1. Each is one chain over the rows.
void Means(const Activity& activity, const RunState& run, float* means) {
  constexpr int64_t kBlock = 64;
  const int64_t columns = activity.columns;
  const int64_t positions = activity.per_row / columns;
  const float all = static_cast<float>(activity.weight_sum) * static_cast<float>(positions);
  const int64_t blocks = (columns + kBlock - 1) / kBlock;
  ForTiles(run, blocks, activity.batch * activity.per_row, [&](int64_t block) {
    const int64_t first = block * kBlock;
    const int64_t width = first + kBlock < columns ? kBlock : columns - first;
    float sum[kBlock] = {};
    for (int64_t i = 0; i < activity.batch; ++i) {
      const float weight = WeightOf(activity, i);
      for (int64_t at = 0; at < positions; ++at) {
        const float* x = activity.x + i * activity.per_row + at * columns + first;
        Fill(sum, 0, width, [&](int64_t j) { return math::Fma(weight, x[j], sum[j]); });
      }
    }
    Fill(means + first, 0, width,
         [&](int64_t j) { return math::Min(math::Max(sum[j] / all, 1e-6f), 1.0f - 1e-6f); });
  });
}

}  // namespace

// Scratch: the means [n] of a target, or else the sums of the rows [batch].
void ActivityLoss(const KernelCall& call, const RunState& run) {
  const Activity activity = ActivityOf(call);
  float* scratch = SharedScratch(run);
  double loss = 0;
  if (activity.target != nullptr && activity.weight_sum > 0) {
    const float r = activity.target[0];
    Means(activity, run, scratch);
    for (int64_t j = 0; j < activity.columns; ++j) {
      const float m = scratch[j];
      loss += static_cast<double>(r * (math::Log(r) - math::Log(m)) +
                                  (1.0f - r) * (math::Log(1.0f - r) - math::Log(1.0f - m)));
    }
  } else if (activity.weight_sum > 0) {
    ForTiles(run, activity.batch, activity.batch * activity.per_row, [&](int64_t i) {
      const float* x = activity.x + i * activity.per_row;
      scratch[i] = LaneSum(activity.per_row, [&](int64_t j) { return math::Abs(x[j]); });
    });
    for (int64_t i = 0; i < activity.batch; ++i) {
      loss += static_cast<double>(WeightOf(activity, i)) * static_cast<double>(scratch[i]);
    }
    loss /= activity.weight_sum;
  }
  Out(call, 0)[0] = static_cast<float>(loss);
  Out(call, 1)[0] = static_cast<float>(activity.weight_sum);
}

// Scratch: the slope of each column [n].
void ActivityLossGrad(const KernelCall& call, const RunState& run) {
  const Activity activity = ActivityOf(call);
  const float weight_sum = In(call, activity.next)[0];
  const float upstream = call.attributes->has_scale ? In(call, activity.next + 1)[0] : 1.0f;
  const float share = weight_sum > 0.0f ? upstream / weight_sum : 0.0f;
  const int64_t columns = activity.columns;
  const int64_t positions = activity.per_row / columns;
  const bool has_target = activity.target != nullptr;
  float* slopes = SharedScratch(run);
  if (has_target && weight_sum > 0.0f) {
    const float r = activity.target[0];
    Means(activity, run, slopes);
    for (int64_t j = 0; j < columns; ++j) {
      const float m = slopes[j];
      slopes[j] = ((1.0f - r) / (1.0f - m) - r / m) / static_cast<float>(positions);
    }
  } else if (has_target) {
    for (int64_t j = 0; j < columns; ++j) slopes[j] = 0;
  }
  ForTiles(run, activity.batch, activity.batch * activity.per_row * 2, [&](int64_t i) {
    const float scale = share * WeightOf(activity, i);
    for (int64_t at = 0; at < positions; ++at) {
      const float* x = activity.x + i * activity.per_row + at * columns;
      float* dx = Out(call, 0) + i * activity.per_row + at * columns;
      if (has_target) {
        Fill(dx, 0, columns, [&](int64_t j) { return scale * slopes[j]; });
      } else {
        Fill(dx, 0, columns, [&](int64_t j) {
          return scale * (x[j] > 0.0f ? 1.0f : (x[j] < 0.0f ? -1.0f : x[j]));
        });
      }
    }
  });
}

// In 64 pieces, each in 8 double lanes, joined in order.
void WeightPenalty(const KernelCall& call, const RunState& run) {
  constexpr int64_t kPieces = 64;
  double absolute[kPieces] = {};
  double squares[kPieces] = {};
  const int64_t elements = call.inputs[0].elements;
  const int64_t size = (elements + kPieces - 1) / kPieces;
  const float* w = In(call, 0);
  ForTiles(run, kPieces, elements * 3, [&](int64_t piece) {
    const int64_t end = (piece + 1) * size < elements ? (piece + 1) * size : elements;
    double lane[2][8] = {};
    for (int64_t i = piece * size; i < end; i += 8) {
      const int64_t width = i + 8 <= end ? 8 : end - i;
      for (int64_t l = 0; l < width; ++l) {
        const double x = w[i + l];
        lane[0][l] += math::Abs(x);
        lane[1][l] += x * x;
      }
    }
    for (int l = 0; l < 8; ++l) {
      absolute[piece] += lane[0][l];
      squares[piece] += lane[1][l];
    }
  });
  double sums[2] = {};
  for (int64_t piece = 0; piece < kPieces; ++piece) {
    sums[0] += absolute[piece];
    sums[1] += squares[piece];
  }
  Out(call, 0)[0] = static_cast<float>(static_cast<double>(In(call, 1)[0]) * sums[0] +
                                       static_cast<double>(In(call, 2)[0]) * sums[1]);
}

void WeightPenaltyGrad(const KernelCall& call, const RunState& run) {
  const float upstream = call.attributes->has_scale ? In(call, 3)[0] : 1.0f;
  const float l1 = upstream * In(call, 1)[0];
  const float l2 = 2.0f * (upstream * In(call, 2)[0]);
  const float* w = In(call, 0);
  ForRange(run, call.inputs[0].elements, 2, [&](int64_t begin, int64_t end) {
    Fill(Out(call, 0), begin, end, [&](int64_t i) {
      const float sign = w[i] > 0.0f ? 1.0f : (w[i] < 0.0f ? -1.0f : w[i]);
      return math::Fma(l2, w[i], l1 * sign);
    });
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
