// Successive halving and Hyperband: brackets of rounds, of which the best go on.
#pragma once

#include <functional>
#include <vector>

#include "pipeline/search/search.h"

namespace beamline::pipeline::search {

struct Round {
  // Trials that train in it, at most.
  int trials = 0;
  // They train to the end of this epoch.
  int epochs = 0;
};

// Numbers first .. first + rounds[0].trials - 1.
struct Bracket {
  int first = 1;
  std::vector<Round> rounds;
};

// Rounds that begin with `trials` trials and end with one of `step_epochs` epochs, of
// step_epochs / reduction^k epochs each, rounded down, the first of at least min_epochs. A round
// has floor(n / reduction^i) trials, at least one. min_epochs 0: as long as a round has one epoch.
std::vector<Round> HalvingRounds(int trials, int reduction, int min_epochs, int step_epochs);

// The brackets of `setting.search`, which is SuccessiveHalving or Hyperband, within its epochs and
// `most_trials` in all: as many trials for each in turn as there is room for.
std::vector<Bracket> Brackets(const Setting& setting, int most_trials = kMaxTrials);

// A trial goes on as soon as it is certain to be among the best of its round, whatever the missing
// results are. Equal values: the smaller number goes on. `draw` gives the values of a trial.
Plan PlanBrackets(const Setting& setting, const std::vector<Bracket>& brackets,
                  const std::vector<Outcome>& outcomes, int limit,
                  const std::function<Values(int number)>& draw);

}  // namespace beamline::pipeline::search
