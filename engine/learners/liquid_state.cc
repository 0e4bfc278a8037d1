#include "engine/learners/liquid_state.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/readout.h"
#include "engine/learners/reservoir.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kInputStream = 0x6c736d;
constexpr uint64_t kSourceStream = 0x6c736e;
constexpr uint64_t kRecurrentStream = 0x6c736f;

class LiquidState : public ReadoutLearner {
 public:
  LiquidState(const LiquidStateSpec& spec, const LearnerData& data)
      : ReadoutLearner(Define(spec, data), data, spec.cells, spec.penalty),
        spec_(spec),
        cells_(spec.cells),
        fan_in_(FanIn(spec.cells, spec.density)),
        channels_(ChannelsOf("liquid_state", data.layout)) {
    input_ = &AddWeight("input", {channels_, cells_});
    recurrent_ = &AddWeight("recurrent", {cells_, fan_in_});
    sources_ = &AddWeight("sources", {cells_, fan_in_}, DType::kInt64);
    if (training() != nullptr) Draw();
  }

 protected:
  void MakeFeatures(const RowBlock& block, float* features) override;
  void Check(const Tensors& tensors) const override {
    CheckSources(tensors.find("sources")->second, cells_);
  }

 private:
  static Definition Define(const LiquidStateSpec& spec, const LearnerData& data);
  void Draw();
  void RunRow(const float* row, int64_t steps, float* features) const;

  const LiquidStateSpec spec_;
  const int64_t cells_;
  const int64_t fan_in_;
  const int64_t channels_;
  Tensor* input_;
  Tensor* recurrent_;
  Tensor* sources_;
};

ClassicLearner::Definition LiquidState::Define(const LiquidStateSpec& spec,
                                               const LearnerData& data) {
  ChannelsOf("liquid_state", data.layout);
  if (spec.cells < 1 || spec.presentation < 1 || !(spec.density > 0 && spec.density <= 1) ||
      !(spec.inhibitory >= 0 && spec.inhibitory < 1) || !(spec.input_scale > 0) ||
      !(spec.recurrent_scale >= 0) || !(spec.membrane_steps > 0) || !(spec.filter_steps > 0)) {
    Fail(
        "liquid_state needs cells and presentation of at least 1, a density in (0, 1], an "
        "inhibitory share in [0, 1), and scales and time constants above 0");
  }
  Definition definition;
  definition.name = "liquid_state";
  definition.text =
      Concat(std::hexfloat, spec.cells, ' ', spec.density, ' ', spec.inhibitory, ' ',
             spec.input_scale, ' ', spec.recurrent_scale, ' ', spec.membrane_steps, ' ',
             spec.filter_steps, ' ', spec.presentation, ' ', spec.mean_state, ' ', spec.seed);
  definition.threads = spec.threads;
  return definition;
}

void LiquidState::Draw() {
  const Philox of_input(spec_.seed, kInputStream);
  const std::span<float> input = input_->values<float>();
  for (size_t i = 0; i < input.size(); ++i) {
    input[i] = static_cast<float>(spec_.input_scale) * (2 * of_input.Uniform(i) - 1);
  }
  DrawSources(Philox(spec_.seed, kSourceStream), cells_, sources_);
  const auto inhibitory = static_cast<int64_t>(spec_.inhibitory * static_cast<double>(cells_));
  const auto scale =
      static_cast<float>(spec_.recurrent_scale / std::sqrt(static_cast<double>(fan_in_)));
  const Philox of_recurrent(spec_.seed, kRecurrentStream);
  const std::span<float> recurrent = recurrent_->values<float>();
  for (size_t i = 0; i < recurrent.size(); ++i) {
    const float sign = sources_->values<int64_t>()[i] < inhibitory ? -1 : 1;
    recurrent[i] = sign * scale * of_recurrent.Uniform(i);
  }
}

void LiquidState::RunRow(const float* row, int64_t steps, float* features) const {
  const float* input = input_->values<float>().data();
  const float* weights = recurrent_->values<float>().data();
  const int64_t* sources = sources_->values<int64_t>().data();
  const float kept = math::Exp(static_cast<float>(-1 / spec_.membrane_steps));
  const float traced = math::Exp(static_cast<float>(-1 / spec_.filter_steps));
  const auto size = static_cast<size_t>(cells_);
  std::vector<float> currents(size), v(size), r(size), spikes(size), next(size);
  std::vector<double> mean(spec_.mean_state ? size : 0);
  for (int64_t step = 0; step < steps; ++step) {
    std::fill(currents.begin(), currents.end(), 0.0f);
    for (int64_t c = 0; c < channels_; ++c) {
      const float u = row[step * channels_ + c];
      const float* from = input + c * cells_;
      for (size_t cell = 0; cell < size; ++cell) currents[cell] += u * from[cell];
    }
    for (int64_t time = 0; time < spec_.presentation; ++time) {
      for (int64_t cell = 0; cell < cells_; ++cell) {
        const auto at = static_cast<size_t>(cell);
        float heard = 0;
        for (int64_t k = cell * fan_in_; k < (cell + 1) * fan_in_; ++k) {
          heard += weights[k] * spikes[static_cast<size_t>(sources[k])];
        }
        const float potential = v[at] * kept + currents[at] + heard;
        next[at] = potential >= 1 ? 1.0f : 0.0f;
        v[at] = potential >= 1 ? 0.0f : potential;
        r[at] = r[at] * traced + (1 - traced) * next[at];
      }
      spikes.swap(next);
    }
    for (size_t cell = 0; cell < mean.size(); ++cell) mean[cell] += static_cast<double>(r[cell]);
  }
  for (size_t cell = 0; cell < size; ++cell) {
    features[cell] =
        spec_.mean_state ? static_cast<float>(mean[cell] / static_cast<double>(steps)) : r[cell];
  }
}

void LiquidState::MakeFeatures(const RowBlock& block, float* features) {
  pool().ParallelFor(block.rows, [&](int64_t row) {
    const int64_t steps = block.lengths != nullptr ? block.lengths[row] : layout().steps;
    RunRow(block.features + row * layout().features, steps, features + row * cells_);
  });
}

}  // namespace

std::unique_ptr<Learner> MakeLiquidState(const LiquidStateSpec& spec, const LearnerData& data) {
  return std::make_unique<LiquidState>(spec, data);
}

}  // namespace beamline::engine
