// What is measured: a learner, its settings and its data. The peers' script has the same table.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/learners/learner.h"

namespace beamline::engine {

// What is told of predictions, so that it can be seen that both sides did the same work.
enum class Quality {
  kAccuracy,        // share of rows whose label is the likeliest
  kError,           // root of the mean squared error
  kReconstruction,  // mean of the rows' losses
  kPerplexity,      // mean -log of the probability of the code that comes
  kLoss,            // the learner's own
};

struct Case {
  std::string name;
  std::string data;
  Quality quality;
  // Rows are given without their target.
  bool unsupervised = false;
  std::function<std::unique_ptr<Learner>(const LearnerData& data, int threads)> make;
};

const std::vector<Case>& Cases();

}  // namespace beamline::engine
