// Group normalisation. An example is one tile of work. Sums over a group are made by channel, each
// one chain over the positions, then over the channels in order.
#include "engine/backend/cpu/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::cpu::BEAMLINE_ISA {

using math::Fma;

static constexpr int64_t kBlock = 32;  // channels that are walked down together

namespace {

struct Extents {
  int64_t examples, positions, channels, groups;
  int64_t width;  // channels of a group
  float count;    // elements of a group

  int64_t example_elements() const { return positions * channels; }
};

Extents ExtentsOf(const KernelCall& call, int input) {
  const Operand& x = call.inputs[input];
  Extents e;
  e.examples = x.extents[0];
  e.channels = x.columns;
  e.positions = e.examples == 0 ? 0 : x.rows / e.examples;
  e.groups = call.attributes->groups;
  e.width = e.channels / e.groups;
  e.count = static_cast<float>(e.positions * e.width);
  return e;
}

// body(channel, width) for blocks of the channels of [first, last).
template <typename Body>
inline __attribute__((always_inline)) void ForBlocks(int64_t first, int64_t last,
                                                     const Body& body) {
  for (; first + kBlock <= last; first += kBlock) body(first, kBlock);
  if (first < last) body(first, last - first);
}

// Sum over a group of f(element, channel), an element being counted from the example's first.
template <typename F>
inline __attribute__((always_inline)) float GroupSum(const Extents& e, int64_t group, const F& f) {
  float total = 0;
  ForBlocks(group * e.width, (group + 1) * e.width, [&](int64_t first, int64_t width) {
    float sum[kBlock] = {};
    for (int64_t i = 0; i < e.positions; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        sum[j] += f(i * e.channels + first + j, first + j);
      }
    }
    for (int64_t j = 0; j < width; ++j) total += sum[j];
  });
  return total;
}

}  // namespace

void GroupNorm(const KernelCall& call, const RunState& run) {
  const Extents e = ExtentsOf(call, 0);
  const float* gamma = In(call, 1);
  const float* beta = In(call, 2);
  const auto epsilon = static_cast<float>(call.attributes->epsilon);
  ForTiles(run, e.examples, call.inputs[0].elements * 4, [&](int64_t b) {
    const float* x = In(call, 0) + b * e.example_elements();
    float* y = Out(call, 0) + b * e.example_elements();
    for (int64_t g = 0; g < e.groups; ++g) {
      const float mean = GroupSum(e, g, [&](int64_t i, int64_t) { return x[i]; }) / e.count;
      const float squares =
          GroupSum(e, g, [&](int64_t i, int64_t) { return (x[i] - mean) * (x[i] - mean); });
      const float rstd = 1.0f / math::Sqrt(squares / e.count + epsilon);
      Out(call, 1)[b * e.groups + g] = mean;
      Out(call, 2)[b * e.groups + g] = rstd;
      for (int64_t i = 0; i < e.positions; ++i) {
        const float* from = x + i * e.channels;
        Fill(y + i * e.channels, g * e.width, (g + 1) * e.width,
             [&](int64_t c) { return Fma((from[c] - mean) * rstd, gamma[c], beta[c]); });
      }
    }
  });
}

Scratch GroupNormGradScratch(const KernelCall& call) {
  const Extents e = ExtentsOf(call, 0);
  return {e.examples * e.channels * 2 * static_cast<int64_t>(sizeof(float)), 0};
}

// With z = (x - mean) rstd and h = dy gamma: dx = rstd (h - mean(h) - z mean(h z)), means over the
// group; dgamma = sum dy z, dbeta = sum dy, by example and then over the examples in order.
void GroupNormGrad(const KernelCall& call, const RunState& run) {
  const Extents e = ExtentsOf(call, 0);
  const float* gamma = In(call, 2);
  float* sums = SharedScratch(run);  // [examples, 2, channels]: of dy z, of dy
  ForTiles(run, e.examples, call.inputs[0].elements * 8, [&](int64_t b) {
    const float* dy = In(call, 0) + b * e.example_elements();
    const float* x = In(call, 1) + b * e.example_elements();
    float* dx = Out(call, 0) + b * e.example_elements();
    float* of_z = sums + b * 2 * e.channels;
    float* of_dy = of_z + e.channels;
    for (int64_t g = 0; g < e.groups; ++g) {
      const float mean = In(call, 3)[b * e.groups + g];
      const float rstd = In(call, 4)[b * e.groups + g];
      float sum = 0;
      float dot = 0;
      ForBlocks(g * e.width, (g + 1) * e.width, [&](int64_t first, int64_t width) {
        float z_sum[kBlock] = {};
        float dy_sum[kBlock] = {};
        for (int64_t i = 0; i < e.positions; ++i) {
          const int64_t at = i * e.channels + first;
          for (int64_t j = 0; j < width; ++j) {
            z_sum[j] = Fma(dy[at + j], (x[at + j] - mean) * rstd, z_sum[j]);
            dy_sum[j] += dy[at + j];
          }
        }
        for (int64_t j = 0; j < width; ++j) {
          of_z[first + j] = z_sum[j];
          of_dy[first + j] = dy_sum[j];
          sum = Fma(gamma[first + j], dy_sum[j], sum);
          dot = Fma(gamma[first + j], z_sum[j], dot);
        }
      });
      sum /= e.count;
      dot /= e.count;
      for (int64_t i = 0; i < e.positions; ++i) {
        const int64_t at = i * e.channels;
        Fill(dx + at, g * e.width, (g + 1) * e.width, [&](int64_t c) {
          return rstd * Fma(-((x[at + c] - mean) * rstd), dot, dy[at + c] * gamma[c] - sum);
        });
      }
    }
  });
  ForTiles(run, 2, e.examples * e.channels * 2, [&](int64_t which) {
    float* to = Out(call, which == 0 ? 1 : 2);
    Fill(to, 0, e.channels, [](int64_t) { return 0.0f; });
    for (int64_t b = 0; b < e.examples; ++b) {
      const float* from = sums + (b * 2 + which) * e.channels;
      Fill(to, 0, e.channels, [&](int64_t c) { return to[c] + from[c]; });
    }
  });
}

}  // namespace beamline::engine::cpu::BEAMLINE_ISA
