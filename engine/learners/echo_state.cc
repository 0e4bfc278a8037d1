#include "engine/learners/echo_state.h"

#include <algorithm>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/core/spectral_radius.h"
#include "engine/learners/readout.h"
#include "engine/learners/reservoir.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kInputStream = 0x65736e;
constexpr uint64_t kSourceStream = 0x65736f;
constexpr uint64_t kRecurrentStream = 0x657370;

class EchoState : public ReadoutLearner {
 public:
  EchoState(const EchoStateSpec& spec, const LearnerData& data)
      : ReadoutLearner(Define(spec, data), data, spec.reservoir, spec.penalty),
        spec_(spec),
        units_(spec.reservoir),
        fan_in_(FanIn(spec.reservoir, spec.density)),
        channels_(ChannelsOf("echo_state", data.layout)) {
    input_ = &AddWeight("input", {channels_ + 1, units_});
    recurrent_ = &AddWeight("recurrent", {units_, fan_in_});
    sources_ = &AddWeight("sources", {units_, fan_in_}, DType::kInt64);
    if (training() != nullptr) Draw();
  }

 protected:
  void MakeFeatures(const RowBlock& block, float* features) override;
  void Check(const Tensors& tensors) const override {
    CheckSources(tensors.find("sources")->second, units_);
  }
  int64_t WorkingBytes() const override {
    return ReadoutLearner::WorkingBytes() + 8 * units_ * std::min<int64_t>(units_, 300);
  }

 private:
  static Definition Define(const EchoStateSpec& spec, const LearnerData& data);
  void Draw();
  void RunRow(const float* row, int64_t steps, float* features) const;

  const EchoStateSpec spec_;
  const int64_t units_;
  const int64_t fan_in_;
  const int64_t channels_;
  Tensor* input_;
  Tensor* recurrent_;
  Tensor* sources_;
};

ClassicLearner::Definition EchoState::Define(const EchoStateSpec& spec, const LearnerData& data) {
  ChannelsOf("echo_state", data.layout);
  if (spec.reservoir < 1 || !(spec.spectral_radius > 0) || !(spec.input_scale > 0) ||
      !(spec.density > 0 && spec.density <= 1) || !(spec.leak > 0 && spec.leak <= 1)) {
    Fail(
        "echo_state needs a reservoir of at least 1, a spectral_radius and input_scale above 0, "
        "and density and leak in (0, 1]");
  }
  Definition definition;
  definition.name = "echo_state";
  definition.text =
      Concat(std::hexfloat, spec.reservoir, ' ', spec.spectral_radius, ' ', spec.density, ' ',
             spec.input_scale, ' ', spec.leak, ' ', spec.mean_state, ' ', spec.seed);
  definition.threads = spec.threads;
  return definition;
}

void EchoState::Draw() {
  const auto even = [&](uint64_t stream, double scale, Tensor* to) {
    const Philox random(spec_.seed, stream);
    const std::span<float> values = to->values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(scale) * (2 * random.Uniform(i) - 1);
    }
  };
  even(kInputStream, spec_.input_scale, input_);
  even(kRecurrentStream, 1, recurrent_);
  DrawSources(Philox(spec_.seed, kSourceStream), units_, sources_);
  const std::span<float> weights = recurrent_->values<float>();
  const std::span<const int64_t> sources = sources_->values<int64_t>();
  const double radius = SpectralRadius(units_, [&](const double* x, double* y) {
    for (int64_t unit = 0; unit < units_; ++unit) {
      double sum = 0;
      for (int64_t k = unit * fan_in_; k < (unit + 1) * fan_in_; ++k) {
        sum += static_cast<double>(weights[static_cast<size_t>(k)]) *
               x[sources[static_cast<size_t>(k)]];
      }
      y[unit] = sum;
    }
  });
  if (!(radius > 0)) return;  // no cycle: nothing echoes
  for (float& weight : weights) {
    weight = static_cast<float>(static_cast<double>(weight) * spec_.spectral_radius / radius);
  }
}

void EchoState::RunRow(const float* row, int64_t steps, float* features) const {
  const float* input = input_->values<float>().data();
  const float* weights = recurrent_->values<float>().data();
  const int64_t* sources = sources_->values<int64_t>().data();
  const auto leak = static_cast<float>(spec_.leak);
  const auto size = static_cast<size_t>(units_);
  std::vector<float> x(size), sums(size);
  std::vector<double> mean(spec_.mean_state ? size : 0);
  for (int64_t step = 0; step < steps; ++step) {
    std::copy_n(input + channels_ * units_, units_, sums.begin());
    for (int64_t c = 0; c < channels_; ++c) {
      const float u = row[step * channels_ + c];
      const float* from = input + c * units_;
      for (size_t unit = 0; unit < size; ++unit) sums[unit] += u * from[unit];
    }
    for (int64_t unit = 0; unit < units_; ++unit) {
      float& sum = sums[static_cast<size_t>(unit)];
      for (int64_t k = unit * fan_in_; k < (unit + 1) * fan_in_; ++k) {
        sum += weights[k] * x[static_cast<size_t>(sources[k])];
      }
    }
    for (size_t unit = 0; unit < size; ++unit) {
      x[unit] = (1 - leak) * x[unit] + leak * math::Tanh(sums[unit]);
    }
    for (size_t unit = 0; unit < mean.size(); ++unit) mean[unit] += static_cast<double>(x[unit]);
  }
  for (size_t unit = 0; unit < size; ++unit) {
    features[unit] =
        spec_.mean_state ? static_cast<float>(mean[unit] / static_cast<double>(steps)) : x[unit];
  }
}

void EchoState::MakeFeatures(const RowBlock& block, float* features) {
  pool().ParallelFor(block.rows, [&](int64_t row) {
    const int64_t steps = block.lengths != nullptr ? block.lengths[row] : layout().steps;
    RunRow(block.features + row * layout().features, steps, features + row * units_);
  });
}

}  // namespace

std::unique_ptr<Learner> MakeEchoState(const EchoStateSpec& spec, const LearnerData& data) {
  return std::make_unique<EchoState>(spec, data);
}

}  // namespace beamline::engine
