#include "engine/learners/liquid_state.h"

#include <algorithm>
#include <cmath>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/core/math.h"
#include "engine/core/philox.h"
#include "engine/learners/reservoir.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kInputStream = 0x6c736d;
constexpr uint64_t kSourceStream = 0x6c736e;
constexpr uint64_t kRecurrentStream = 0x6c736f;

class LiquidState : public ReservoirLearner {
 public:
  LiquidState(const LiquidStateSpec& spec, const LearnerData& data)
      : ReservoirLearner(Define(spec), data,
                         {.units = spec.cells,
                          .density = spec.density,
                          .mean_state = spec.mean_state,
                          .penalty = spec.penalty}),
        spec_(spec) {
    if (training() != nullptr) Draw();
  }

 protected:
  int64_t arrays() const override { return 4; }
  void Advance(const float* driven, float* state) const override;

 private:
  static Definition Define(const LiquidStateSpec& spec);
  void Draw();

  const LiquidStateSpec spec_;
};

ClassicLearner::Definition LiquidState::Define(const LiquidStateSpec& spec) {
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
  DrawInputs(Philox(spec_.seed, kInputStream), spec_.input_scale);
  DrawSources(Philox(spec_.seed, kSourceStream));
  const auto inhibitory = static_cast<int64_t>(spec_.inhibitory * static_cast<double>(units()));
  const auto scale =
      static_cast<float>(spec_.recurrent_scale / std::sqrt(static_cast<double>(fan_in())));
  const Philox random(spec_.seed, kRecurrentStream);
  const std::span<float> weights = recurrent().values<float>();
  for (size_t i = 0; i < weights.size(); ++i) {
    const float sign = sources().values<int64_t>()[i] < inhibitory ? -1 : 1;
    weights[i] = sign * scale * random.Uniform(i);
  }
}

// Filtered spikes, potentials, spikes, and what reaches the cells.
void LiquidState::Advance(const float* driven, float* state) const {
  const int64_t size = units() * cpu::kLanes;
  const float kept = math::Exp(static_cast<float>(-1 / spec_.membrane_steps));
  const float traced = math::Exp(static_cast<float>(-1 / spec_.filter_steps));
  float* const v = state + size;
  float* const spikes = v + size;
  float* const sums = spikes + size;
  for (int64_t time = 0; time < spec_.presentation; ++time) {
    std::copy_n(driven, size, sums);
    AddHeard(spikes, sums);
    cpu::FindLearnerKernels().Fire(sums, kept, traced, size, v, spikes, state);
  }
}

}  // namespace

std::unique_ptr<Learner> MakeLiquidState(const LiquidStateSpec& spec, const LearnerData& data) {
  return std::make_unique<LiquidState>(spec, data);
}

}  // namespace beamline::engine
