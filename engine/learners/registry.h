// The learners there are, by name. A new one is a file pair and one line in registry.cc.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "engine/learners/learner.h"
#include "engine/nn/adversarial_spec.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// What a learner is made of. The data must outlive it.
struct LearnerConfig {
  // The definition that the named learner needs: `network` for "network", `adversarial` for
  // "adversarial".
  const NetworkSpec* network = nullptr;
  const AdversarialSpec* adversarial = nullptr;
  // What the rows look like; needed even without training rows.
  BatchLayout layout;
  // Null makes a learner for prediction only: Step throws Error.
  const BatchSource* training = nullptr;
  // May be null.
  const BatchSource* validation = nullptr;
};

struct LearnerInfo {
  std::string_view name;
  std::string_view summary;
  std::unique_ptr<Learner> (*make)(const LearnerConfig& config);
};

// Ascending by name. Thread-safe.
const std::vector<LearnerInfo>& Learners();

// Throws Error if there is no learner of that name (the message lists those there are) or it
// refuses the configuration.
std::unique_ptr<Learner> MakeLearner(std::string_view name, const LearnerConfig& config);

}  // namespace beamline::engine
