#include "engine/learners/reservoir.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

int64_t FanIn(int64_t units, double density) {
  const auto share = static_cast<int64_t>(std::llround(density * static_cast<double>(units)));
  return std::clamp<int64_t>(share, 1, units);
}

int64_t ChannelsOf(const std::string& learner, const BatchLayout& layout) {
  if (layout.steps < 1) Fail(learner, " takes sequences: set windows or sequences in the data");
  return layout.features / layout.steps;
}

}  // namespace

ReservoirLearner::ReservoirLearner(Definition definition, const LearnerData& data,
                                   const Network& network)
    : ReadoutLearner(
          [&] {
            ChannelsOf(definition.name, data.layout);
            return std::move(definition);
          }(),
          data, network.units, network.penalty),
      network_(network),
      fan_in_(FanIn(network.units, network.density)),
      channels_(data.layout.features / data.layout.steps) {
  input_ = &AddWeight("input", {channels_ + (network.constant ? 1 : 0), units()});
  recurrent_ = &AddWeight("recurrent", {units(), fan_in_});
  sources_ = &AddWeight("sources", {units(), fan_in_}, DType::kInt64);
}

void ReservoirLearner::DrawInputs(const Philox& random, double scale) {
  const std::span<float> values = input_->values<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(scale) * (2 * random.Uniform(i) - 1);
  }
}

void ReservoirLearner::DrawSources(const Philox& random) {
  const std::span<int64_t> all = sources_->values<int64_t>();
  for (int64_t unit = 0; unit < units(); ++unit) {
    const std::span<int64_t> own =
        all.subspan(static_cast<size_t>(unit * fan_in_), static_cast<size_t>(fan_in_));
    // Floyd's way to draw without replacement; those drawn so far are kept in order.
    for (int64_t k = 0; k < fan_in_; ++k) {
      const int64_t most = units() - fan_in_ + k;
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

void ReservoirLearner::Check(const Tensors& tensors) const {
  for (const int64_t source : tensors.find("sources")->second.values<int64_t>()) {
    if (source >= 0 && source < units()) continue;
    Fail("the connections of the reservoir are damaged: take its weights from a training");
  }
}

void ReservoirLearner::AddHeard(const float* x, float* sums) const {
  cpu::FindLearnerKernels().AddHeard(std::as_const(*recurrent_).values<float>().data(),
                                     std::as_const(*sources_).values<int64_t>().data(), units(),
                                     fan_in_, x, sums);
}

// Rows that have ended run on, and are not listened to.
void ReservoirLearner::RunRows(const RowBlock& block, int64_t first, int64_t rows,
                               float* features) const {
  const auto size = static_cast<size_t>(units() * kLanes);
  const float* input = std::as_const(*input_).values<float>().data();
  std::vector<float> state(static_cast<size_t>(arrays()) * size), driven(size);
  std::vector<double> mean(network_.mean_state ? size : 0);
  int64_t lengths[kLanes] = {}, most = 0;
  for (int64_t lane = 0; lane < rows; ++lane) {
    lengths[lane] = block.lengths != nullptr ? block.lengths[first + lane] : layout().steps;
    most = std::max(most, lengths[lane]);
  }
  for (int64_t step = 0; step < most; ++step) {
    for (size_t i = 0; i < size; ++i) {
      driven[i] =
          network_.constant ? input[static_cast<size_t>(channels_ * units()) + i / kLanes] : 0.0f;
    }
    for (int64_t c = 0; c < channels_; ++c) {
      float u[kLanes] = {};
      for (int64_t lane = 0; lane < rows; ++lane) {
        u[lane] = block.features[(first + lane) * layout().features + step * channels_ + c];
      }
      for (int64_t unit = 0; unit < units(); ++unit) {
        const float weight = input[c * units() + unit];
        float* sums = driven.data() + unit * kLanes;
        for (int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += u[lane] * weight;
      }
    }
    Advance(driven.data(), state.data());
    for (int64_t lane = 0; lane < rows; ++lane) {
      float* to = features + (first + lane) * units();
      const bool ends = step + 1 == lengths[lane];
      if (step >= lengths[lane] || !(ends || network_.mean_state)) continue;
      for (int64_t unit = 0; unit < units(); ++unit) {
        const auto at = static_cast<size_t>(unit * kLanes + lane);
        if (network_.mean_state) mean[at] += static_cast<double>(state[at]);
        if (!ends) continue;
        to[unit] = network_.mean_state
                       ? static_cast<float>(mean[at] / static_cast<double>(lengths[lane]))
                       : state[at];
      }
    }
  }
}

void ReservoirLearner::MakeFeatures(const RowBlock& block, float* features) {
  pool().ParallelFor((block.rows + kLanes - 1) / kLanes, [&](int64_t tile) {
    const int64_t first = tile * kLanes;
    RunRows(block, first, std::min(kLanes, block.rows - first), features);
  });
}

}  // namespace beamline::engine
