// Group normalisation.
#include "engine/backend/cuda/columns.h"
#include "engine/backend/cuda/divide.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

// The groups of an operand [examples, ..., channels], which has fewer than 2^31 rows, a group
// fewer than 2^31 elements.
struct Groups {
  explicit Groups(const KernelCall& call)
      : groups(call.attributes->groups),
        channels(call.inputs[0].columns),
        examples(call.inputs[0].extents[0]),
        positions(examples == 0 ? 0 : call.inputs[0].rows / examples),
        width(channels / groups) {}

  int64_t elements() const { return positions * width.divisor(); }

  int64_t groups, channels, examples, positions;
  Divider width;
};

// An element of a group: its place in the operand and its channel.
struct Element {
  int64_t at, channel;
};
// Element `number` of group `index`, counted through all examples.
struct GroupAt {
  BEAMLINE_DEVICE GroupAt(const Groups& all, int64_t index) : g(all) {
    const int64_t example = index / g.groups;
    first_channel = (index - example * g.groups) * g.width.divisor();
    first = example * g.positions * g.channels;
  }
  BEAMLINE_DEVICE Element operator()(int64_t number) const {
    const int position = g.width.Divide(static_cast<int>(number));
    const int64_t channel =
        first_channel + number - static_cast<int64_t>(position) * g.width.divisor();
    return {first + position * g.channels + channel, channel};
  }

  const Groups& g;
  int64_t first_channel, first;
};

}  // namespace

void GroupNorm(const KernelCall& call, const RunState& run) {
  const Groups groups(call);
  const int64_t elements = groups.elements();
  const auto count = static_cast<float>(elements);
  const float* x = In(call, 0);
  const float* gamma = In(call, 1);
  const float* beta = In(call, 2);
  float* y = Out(call, 0);
  float* mean = Out(call, 1);
  float* rstd = Out(call, 2);
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  Teams<kBlock>(run, groups.examples * groups.groups, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const GroupAt group(groups, team.index());
    const float middle =
        team.template Sum<float>(elements, [&](int64_t e) { return x[group(e).at]; }) / count;
    const float squares = team.template Sum<float>(elements, [&](int64_t e) {
      const float d = x[group(e).at] - middle;
      return d * d;
    });
    const float scale = 1.0f / math::Sqrt(squares / count + epsilon);
    team.For(elements, [&](int64_t e) {
      const Element i = group(e);
      y[i.at] = math::Fma((x[i.at] - middle) * scale, gamma[i.channel], beta[i.channel]);
    });
    team.Once([&] {
      mean[team.index()] = middle;
      rstd[team.index()] = scale;
    });
  });
}

Scratch GroupNormGradScratch(const KernelCall& call) {
  return ColumnSumsScratch(call.inputs[0].rows, call.inputs[0].columns, 2);
}

// With z = (x - mean) rstd and h = dy gamma: dx = rstd (h - mean(h) - z mean(h z)), means over the
// group; dgamma = sum dy z, dbeta = sum dy by channel.
void GroupNormGrad(const KernelCall& call, const RunState& run) {
  const Groups groups(call);
  const int64_t elements = groups.elements();
  const auto count = static_cast<float>(elements);
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  const float* gamma = In(call, 2);
  const float* mean = In(call, 3);
  const float* rstd = In(call, 4);
  float* dx = Out(call, 0);
  float* dgamma = Out(call, 1);
  float* dbeta = Out(call, 2);
  Teams<kBlock>(run, groups.examples * groups.groups, 0, [=] BEAMLINE_LAMBDA(Team<kBlock> & team) {
    const GroupAt group(groups, team.index());
    const float middle = mean[team.index()];
    const float scale = rstd[team.index()];
    const float sum = team.template Sum<float>(elements, [&](int64_t e) {
      const Element i = group(e);
      return dy[i.at] * gamma[i.channel];
    });
    const float dot = team.template Sum<float>(elements, [&](int64_t e) {
      const Element i = group(e);
      return dy[i.at] * gamma[i.channel] * ((x[i.at] - middle) * scale);
    });
    team.For(elements, [&](int64_t e) {
      const Element i = group(e);
      const float z = (x[i.at] - middle) * scale;
      const float centred = dy[i.at] * gamma[i.channel] - sum / count;
      dx[i.at] = scale * math::Fma(-z, dot / count, centred);
    });
  });
  const int64_t channels = groups.channels;
  const Divider positions(groups.positions > 0 ? groups.positions : 1);
  ColumnSums<2>(
      run, call.inputs[0].rows, channels,
      [=] BEAMLINE_LAMBDA(int64_t i, int64_t c, float* values) {
        const int64_t group = positions.Divide(static_cast<int>(i)) * groups.groups +
                              groups.width.Divide(static_cast<int>(c));
        const float slope = dy[i * channels + c];
        values[0] = slope * ((x[i * channels + c] - mean[group]) * rstd[group]);
        values[1] = slope;
      },
      [=] BEAMLINE_LAMBDA(int64_t c, const float* sums) {
        dgamma[c] = sums[0];
        dbeta[c] = sums[1];
      });
}

}  // namespace beamline::engine::cuda
