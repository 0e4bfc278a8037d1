// Group normalisation.
#include "engine/backend/reference/kernels.h"
#include "engine/core/math.h"

namespace beamline::engine::reference {

// Calls body(element, channel) for the elements of a group of an example.
template <typename Body>
static void ForGroup(int64_t example, int64_t positions, int64_t channels, int64_t group,
                     int64_t width, const Body& body) {
  for (int64_t i = 0; i < positions; ++i) {
    for (int64_t c = group * width; c < (group + 1) * width; ++c) {
      body((example * positions + i) * channels + c, c);
    }
  }
}

template <typename T>
void GroupNorm(const KernelCall& call, const RunState&) {
  const int64_t groups = call.attributes->groups;
  const int64_t channels = call.inputs[0].columns;
  const int64_t examples = call.inputs[0].extents[0];
  const int64_t positions = examples == 0 ? 0 : call.inputs[0].rows / examples;
  const int64_t width = channels / groups;
  const T count = static_cast<T>(positions * width);
  const T* x = In<T>(call, 0);
  for (int64_t b = 0; b < examples; ++b) {
    for (int64_t g = 0; g < groups; ++g) {
      T mean = 0;
      ForGroup(b, positions, channels, g, width, [&](int64_t i, int64_t) { mean += x[i]; });
      mean /= count;
      T squares = 0;
      ForGroup(b, positions, channels, g, width,
               [&](int64_t i, int64_t) { squares += (x[i] - mean) * (x[i] - mean); });
      const T rstd = T(1) / math::Sqrt(squares / count + static_cast<T>(call.attributes->epsilon));
      ForGroup(b, positions, channels, g, width, [&](int64_t i, int64_t c) {
        Out<T>(call, 0)[i] = math::Fma((x[i] - mean) * rstd, In<T>(call, 1)[c], In<T>(call, 2)[c]);
      });
      Out<T>(call, 1)[b * groups + g] = mean;
      Out<T>(call, 2)[b * groups + g] = rstd;
    }
  }
}
BEAMLINE_INSTANTIATE(GroupNorm)

// With z = (x - mean) rstd and h = dy gamma: dx = rstd (h - mean(h) - z mean(h z)), means over the
// group; dgamma = sum dy z, dbeta = sum dy by channel.
template <typename T>
void GroupNormGrad(const KernelCall& call, const RunState&) {
  const int64_t groups = call.attributes->groups;
  const int64_t channels = call.inputs[0].columns;
  const int64_t examples = call.inputs[0].extents[0];
  const int64_t positions = examples == 0 ? 0 : call.inputs[0].rows / examples;
  const int64_t width = channels / groups;
  const T count = static_cast<T>(positions * width);
  const T* dy = In<T>(call, 0);
  const T* x = In<T>(call, 1);
  const T* gamma = In<T>(call, 2);
  T* dgamma = Out<T>(call, 1);
  T* dbeta = Out<T>(call, 2);
  for (int64_t c = 0; c < channels; ++c) dgamma[c] = dbeta[c] = 0;
  for (int64_t b = 0; b < examples; ++b) {
    for (int64_t g = 0; g < groups; ++g) {
      const T mean = In<T>(call, 3)[b * groups + g];
      const T rstd = In<T>(call, 4)[b * groups + g];
      T sum = 0;
      T dot = 0;
      ForGroup(b, positions, channels, g, width, [&](int64_t i, int64_t c) {
        const T z = (x[i] - mean) * rstd;
        sum += dy[i] * gamma[c];
        dot += dy[i] * gamma[c] * z;
        dgamma[c] = math::Fma(dy[i], z, dgamma[c]);
        dbeta[c] += dy[i];
      });
      ForGroup(b, positions, channels, g, width, [&](int64_t i, int64_t c) {
        const T z = (x[i] - mean) * rstd;
        Out<T>(call, 0)[i] = rstd * math::Fma(-z, dot / count, dy[i] * gamma[c] - sum / count);
      });
    }
  }
}
BEAMLINE_INSTANTIATE(GroupNormGrad)

}  // namespace beamline::engine::reference
