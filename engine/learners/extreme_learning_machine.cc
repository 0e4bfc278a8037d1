#include "engine/learners/extreme_learning_machine.h"

#include <cmath>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/products.h"
#include "engine/learners/readout.h"

namespace beamline::engine {
namespace {

constexpr uint64_t kWeightStream = 0x656c6d;
constexpr uint64_t kBiasStream = 0x656c6e;

class ExtremeLearningMachine : public ReadoutLearner {
 public:
  ExtremeLearningMachine(const ExtremeLearningSpec& spec, const LearnerData& data)
      : ReadoutLearner(Define(spec), data, spec.hidden, spec.penalty), spec_(spec) {
    weights_ = &AddWeight("hidden", {layout().features, spec.hidden});
    biases_ = &AddWeight("hidden_bias", {spec.hidden});
    const double deviation = spec.scale / std::sqrt(static_cast<double>(layout().features));
    Draw(kWeightStream, deviation, weights_);
    Draw(kBiasStream, spec.scale, biases_);
  }

 protected:
  void MakeFeatures(const RowBlock& block, float* features) override {
    Multiply({block.features, block.rows, layout().features},
             {weights_->values<float>().data(), layout().features, spec_.hidden},
             biases_->values<float>().data(), spec_.activation, features, &pool());
  }

 private:
  static Definition Define(const ExtremeLearningSpec& spec);
  void Draw(uint64_t stream, double deviation, Tensor* to) const {
    const Philox random(spec_.seed, stream);
    const std::span<float> values = to->values<float>();
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(deviation) * random.Normal(i);
    }
  }

  const ExtremeLearningSpec spec_;
  Tensor* weights_;
  Tensor* biases_;
};

ClassicLearner::Definition ExtremeLearningMachine::Define(const ExtremeLearningSpec& spec) {
  if (spec.hidden < 1 || !(spec.scale > 0)) {
    Fail("extreme_learning_machine needs hidden of at least 1 and a scale above 0");
  }
  Definition definition;
  definition.name = "extreme_learning_machine";
  definition.text = Concat(std::hexfloat, spec.hidden, ' ', static_cast<int>(spec.activation), ' ',
                           spec.scale, ' ', spec.seed);
  definition.threads = spec.threads;
  return definition;
}

}  // namespace

std::unique_ptr<Learner> MakeExtremeLearningMachine(const ExtremeLearningSpec& spec,
                                                    const LearnerData& data) {
  return std::make_unique<ExtremeLearningMachine>(spec, data);
}

}  // namespace beamline::engine
