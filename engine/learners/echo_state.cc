#include "engine/learners/echo_state.h"

#include <algorithm>

#include "engine/backend/cpu/learner_kernels.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/core/spectral_radius.h"
#include "engine/learners/reservoir.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kInputStream = 0x65736e;
constexpr uint64_t kSourceStream = 0x65736f;
constexpr uint64_t kRecurrentStream = 0x657370;

class EchoState : public ReservoirLearner {
 public:
  EchoState(const EchoStateSpec& spec, const LearnerData& data)
      : ReservoirLearner(Define(spec), data,
                         {.units = spec.reservoir,
                          .density = spec.density,
                          .constant = true,
                          .mean_state = spec.mean_state,
                          .penalty = spec.penalty}),
        spec_(spec) {
    if (training() != nullptr) Draw();
  }

 protected:
  int64_t arrays() const override { return 2; }
  // State, and what reaches it.
  void Advance(const float* driven, float* state) const override {
    float* const sums = state + units() * cpu::kLanes;
    std::copy_n(driven, units() * cpu::kLanes, sums);
    AddHeard(state, sums);
    cpu::FindLearnerKernels().Leak(sums, static_cast<float>(spec_.leak), units() * cpu::kLanes,
                                   state);
  }
  int64_t WorkingBytes() const override {
    return ReadoutLearner::WorkingBytes() + 8 * units() * std::min<int64_t>(units(), 300);
  }

 private:
  static Definition Define(const EchoStateSpec& spec);
  void Draw();

  const EchoStateSpec spec_;
};

ClassicLearner::Definition EchoState::Define(const EchoStateSpec& spec) {
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
  DrawInputs(Philox(spec_.seed, kInputStream), spec_.input_scale);
  DrawSources(Philox(spec_.seed, kSourceStream));
  const Philox random(spec_.seed, kRecurrentStream);
  const std::span<float> weights = recurrent().values<float>();
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 2 * random.Uniform(i) - 1;
  const std::span<const int64_t> from = sources().values<int64_t>();
  const double radius = SpectralRadius(units(), [&](const double* x, double* y) {
    for (int64_t unit = 0; unit < units(); ++unit) {
      double sum = 0;
      for (int64_t k = unit * fan_in(); k < (unit + 1) * fan_in(); ++k) {
        sum +=
            static_cast<double>(weights[static_cast<size_t>(k)]) * x[from[static_cast<size_t>(k)]];
      }
      y[unit] = sum;
    }
  });
  if (!(radius > 0)) return;  // no cycle: nothing echoes
  for (float& weight : weights) {
    weight = static_cast<float>(static_cast<double>(weight) * spec_.spectral_radius / radius);
  }
}

}  // namespace

std::unique_ptr<Learner> MakeEchoState(const EchoStateSpec& spec, const LearnerData& data) {
  return std::make_unique<EchoState>(spec, data);
}

}  // namespace beamline::engine
