#include "engine/learners/registry.h"

#include <numeric>
#include <string>

#include "engine/core/error.h"
#include "engine/learners/adversarial_learner.h"
#include "engine/learners/network_learner.h"

namespace beamline::engine {

const std::vector<LearnerInfo>& Learners() {
  static const std::vector<LearnerInfo> kLearners = {
      {"adversarial", "two networks trained against each other", MakeAdversarialLearner},
      {"network", "neural network trained by gradients", MakeNetworkLearner},
  };
  return kLearners;
}

std::unique_ptr<Learner> MakeLearner(std::string_view name, const LearnerConfig& config) {
  std::string names;
  for (const LearnerInfo& learner : Learners()) {
    if (learner.name == name) return learner.make(config);
    names += (names.empty() ? "" : ", ") + std::string(learner.name);
  }
  Fail("there is no learner \"", name, "\": choose one of ", names);
}

void Learner::Adopt(std::string_view) {
  Fail("only a network can go on with the state of another definition");
}

Predictions Learner::Predict(const BatchSource& source) {
  std::vector<int64_t> rows(static_cast<size_t>(source.rows()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return Predict(source, rows);
}

}  // namespace beamline::engine
