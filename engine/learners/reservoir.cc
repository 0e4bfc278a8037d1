#include "engine/learners/reservoir.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"

namespace beamline::engine {

int64_t FanIn(int64_t units, double density) {
  const auto share = static_cast<int64_t>(std::llround(density * static_cast<double>(units)));
  return std::clamp<int64_t>(share, 1, units);
}

void DrawSources(const Philox& random, int64_t units, Tensor* sources) {
  const int64_t fan_in = sources->shape().dim(1);
  const std::span<int64_t> all = sources->values<int64_t>();
  for (int64_t unit = 0; unit < units; ++unit) {
    const std::span<int64_t> own =
        all.subspan(static_cast<size_t>(unit * fan_in), static_cast<size_t>(fan_in));
    // Floyd's way to draw without replacement; those drawn so far are kept in order.
    for (int64_t k = 0; k < fan_in; ++k) {
      const int64_t most = units - fan_in + k;
      const auto drawn = static_cast<int64_t>(
          random.Below(static_cast<uint64_t>(unit) << 32 | static_cast<uint64_t>(k),
                       static_cast<uint64_t>(most) + 1));
      const auto end = own.begin() + k;
      const bool taken = std::binary_search(own.begin(), end, drawn);
      const int64_t chosen = taken ? most : drawn;
      const auto place = std::upper_bound(own.begin(), end, chosen);
      std::copy_backward(place, end, end + 1);
      *place = chosen;
    }
  }
}

void CheckSources(const Tensor& sources, int64_t units) {
  for (const int64_t source : sources.values<int64_t>()) {
    if (source >= 0 && source < units) continue;
    Fail("the connections of the reservoir are damaged: take its weights from a training");
  }
}

int64_t ChannelsOf(const std::string& learner, const BatchLayout& layout) {
  if (layout.steps < 1) Fail(learner, " takes sequences: set windows or sequences in the data");
  return layout.features / layout.steps;
}

}  // namespace beamline::engine
