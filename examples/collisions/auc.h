// The weighted area under the ROC curve, and how sure one can be of it.
#pragma once

#include <vector>

namespace beamline::collisions {

struct Scored {
  double score = 0.0;
  // Not negative.
  double weight = 1.0;
  bool is_signal = false;
};

struct Auc {
  // The probability that a signal event scores above a background event; ties count half.
  double value = 0.0;
  // Of DeLong, DeLong and Clarke-Pearson (1988), with weights.
  double standard_error = 0.0;
};

// Both classes must be there, with positive weight.
Auc WeightedAuc(std::vector<Scored> events);

}  // namespace beamline::collisions
