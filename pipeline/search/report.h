// What trials tell: the trade-off of quality against time, and which parameters matter.
#pragma once

#include <vector>

#include "beamline/v1/run.pb.h"
#include "pipeline/search/search.h"

namespace beamline::pipeline::search {

// A trial that trained to the end.
struct TrialPoint {
  int number = 0;
  Values values;
  double value = 0;
  double seconds = 0;
};

// For each point whether no other is at least as good and as fast, and better in one of the two. Of
// equal points all are on the front.
std::vector<bool> ParetoFront(const std::vector<TrialPoint>& points, bool maximize);

// How much each key of the space matters, the most important first (by key where equal): PED-ANOVA
// (Watanabe, Bansal, Hutter: "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
// Arbitrary Subspaces", IJCAI 2023), gamma 0.1, at least three good trials. Shares that sum to 1;
// empty if there are too few points (fewer than six), or none differ.
std::vector<v1::ParameterImportance> Importance(const v1::Search& search,
                                                const std::vector<TrialPoint>& points,
                                                bool maximize);

}  // namespace beamline::pipeline::search
