// Pooling over all positions.
#include "engine/backend/cuda/divide.h"
#include "engine/backend/cuda/kernels.h"

namespace beamline::engine::cuda {
namespace {

// A team does some channels of an example; each channel's positions are cut into parts, which are
// added, or compared, in order.
struct Tile {
  static constexpr int kThreads = kBlock;

  Tile(int64_t all_examples, int64_t all_positions, int64_t all_channels)
      : examples(all_examples),
        positions(all_positions),
        channels(all_channels),
        width(math::Min<int64_t>(kWarp, channels)),
        parts(kThreads / width),
        per_part((positions + parts - 1) / parts),
        tiles((channels + width - 1) / width) {}

  int64_t teams() const { return examples * tiles; }

  // Of a team: the place of the first position's first channel, and how many channels it does.
  BEAMLINE_DEVICE int64_t First(int64_t team) const {
    const int64_t example = team / tiles;
    return example * positions * channels + (team - example * tiles) * width;
  }
  BEAMLINE_DEVICE int64_t Width(int64_t team) const {
    return math::Min(width, channels - team % tiles * width);
  }
  BEAMLINE_DEVICE int64_t Begin(int64_t part) const {
    return math::Min(part * per_part, positions);
  }

  int64_t examples, positions, channels, width, parts, per_part, tiles;
};

// The first maximum counts; the last NaN if there is one.
BEAMLINE_DEVICE bool Beats(float value, float best) { return value > best || value != value; }

// best[c]: the position of the maximum of channel c of the tile. `best` has kThreads places.
BEAMLINE_DEVICE void Largest(Team<Tile::kThreads>& team, const Tile& tile, const float* x,
                             int* best) {
  const float* from = x + tile.First(team.index());
  const int64_t width = tile.Width(team.index());
  team.For(tile.parts * tile.width, [&](int64_t i) {
    const int64_t part = i / tile.width;
    const int64_t c = i % tile.width;
    const int64_t begin = tile.Begin(part);
    const int64_t end = tile.Begin(part + 1);
    if (c >= width || begin == end) return;
    int64_t at = begin;
    for (int64_t p = begin + 1; p < end; ++p) {
      if (Beats(from[p * tile.channels + c], from[at * tile.channels + c])) at = p;
    }
    best[i] = static_cast<int>(at);
  });
  team.For(width, [&](int64_t c) {
    int at = best[c];
    for (int64_t part = 1; part < tile.parts && tile.Begin(part) < tile.positions; ++part) {
      const int other = best[part * tile.width + c];
      if (Beats(from[other * tile.channels + c], from[at * tile.channels + c])) at = other;
    }
    best[c] = at;
  });
}

// sums[c]: the sum of channel c of the tile. `sums` has kThreads places.
BEAMLINE_DEVICE void Sums(Team<Tile::kThreads>& team, const Tile& tile, const float* x,
                          float* sums) {
  const float* from = x + tile.First(team.index());
  const int64_t width = tile.Width(team.index());
  team.For(tile.parts * tile.width, [&](int64_t i) {
    const int64_t part = i / tile.width;
    const int64_t c = i % tile.width;
    const int64_t end = tile.Begin(part + 1);
    float sum = 0;
    for (int64_t p = tile.Begin(part); c < width && p < end; ++p) {
      sum += from[p * tile.channels + c];
    }
    sums[i] = sum;
  });
  team.For(width, [&](int64_t c) {
    float sum = sums[c];
    for (int64_t part = 1; part < tile.parts; ++part) sum += sums[part * tile.width + c];
    sums[c] = sum;
  });
}

void ReduceMax(const KernelCall& call, const RunState& run, const Tile& tile) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  Teams<Tile::kThreads>(run, tile.teams(), Tile::kThreads * sizeof(int),
                        [=] BEAMLINE_LAMBDA(Team<Tile::kThreads> & team) {
                          int* best = team.template shared<int>();
                          Largest(team, tile, x, best);
                          const float* from = x + tile.First(team.index());
                          const int64_t example = team.index() / tile.tiles;
                          float* to =
                              y + example * tile.channels + team.index() % tile.tiles * tile.width;
                          team.For(tile.Width(team.index()),
                                   [&](int64_t c) { to[c] = from[best[c] * tile.channels + c]; });
                        });
}

void ReduceSum(const KernelCall& call, const RunState& run, const Tile& tile) {
  const float* x = In(call, 0);
  float* y = Out(call, 0);
  const bool mean = call.attributes->reduction == Reduction::kMean;
  const auto count = static_cast<float>(tile.positions);
  Teams<Tile::kThreads>(run, tile.teams(), Tile::kThreads * sizeof(float),
                        [=] BEAMLINE_LAMBDA(Team<Tile::kThreads> & team) {
                          float* sums = team.template shared<float>();
                          Sums(team, tile, x, sums);
                          const int64_t example = team.index() / tile.tiles;
                          float* to =
                              y + example * tile.channels + team.index() % tile.tiles * tile.width;
                          team.For(tile.Width(team.index()),
                                   [&](int64_t c) { to[c] = mean ? sums[c] / count : sums[c]; });
                        });
}

}  // namespace

void Reduce(const KernelCall& call, const RunState& run) {
  const int64_t examples = call.outputs[0].rows;
  const int64_t channels = call.outputs[0].columns;
  if (examples == 0 || channels == 0) return;
  const int64_t positions = call.inputs[0].rows / examples;
  const Tile tile(examples, positions, channels);
  switch (call.attributes->reduction) {
    case Reduction::kMax:
      return ReduceMax(call, run, tile);
    case Reduction::kLast: {
      const float* x = In(call, 0);
      float* y = Out(call, 0);
      return Cells(run, examples, channels, [=] BEAMLINE_LAMBDA(int64_t b, int64_t c) {
        y[b * channels + c] = x[((b + 1) * positions - 1) * channels + c];
      });
    }
    default:
      return ReduceSum(call, run, tile);
  }
}

namespace {

void ReduceMaxGrad(const KernelCall& call, const RunState& run, const Tile& tile) {
  const float* dy = In(call, 0);
  const float* x = In(call, 1);
  float* dx = Out(call, 0);
  Teams<Tile::kThreads>(run, tile.teams(), Tile::kThreads * sizeof(int),
                        [=] BEAMLINE_LAMBDA(Team<Tile::kThreads> & team) {
                          int* best = team.template shared<int>();
                          Largest(team, tile, x, best);
                          const int64_t width = tile.Width(team.index());
                          const int64_t example = team.index() / tile.tiles;
                          const float* from =
                              dy + example * tile.channels + team.index() % tile.tiles * tile.width;
                          float* to = dx + tile.First(team.index());
                          team.For(tile.positions * width, [&](int64_t i) {
                            const int64_t p = i / width;
                            const int64_t c = i - p * width;
                            to[p * tile.channels + c] = best[c] == p ? from[c] : 0.0f;
                          });
                        });
}

}  // namespace

void ReduceGrad(const KernelCall& call, const RunState& run) {
  const int64_t examples = call.inputs[0].rows;
  const int64_t channels = call.inputs[0].columns;
  if (examples == 0 || channels == 0) return;
  const int64_t positions = call.outputs[0].rows / examples;
  const Reduction reduction = call.attributes->reduction;
  if (reduction == Reduction::kMax) {
    return ReduceMaxGrad(call, run, Tile(examples, positions, channels));
  }
  const float* dy = In(call, 0);
  float* dx = Out(call, 0);
  const Divider per_example(positions > 0 ? positions : 1);
  const auto count = static_cast<float>(positions);
  Cells(run, examples * positions, channels, [=] BEAMLINE_LAMBDA(int64_t i, int64_t c) {
    const int64_t b = per_example.Divide(static_cast<int>(i));
    const float slope = dy[b * channels + c];
    const bool takes = reduction != Reduction::kLast || i == (b + 1) * positions - 1;
    const float each = reduction == Reduction::kMean ? slope / count : slope;
    dx[i * channels + c] = takes ? each : 0.0f;
  });
}

}  // namespace beamline::engine::cuda
