// What a search has found, as text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "beamline/v1/run.pb.h"
#include "clients/cli/plot.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {

// There were trials to compare: not cross-validation alone.
bool HasTrials(const v1::ListTrialsResponse& search);

// "tune: 30 trials, 1 failed; loss, less is better".
std::string SearchHeadline(const v1::ListTrialsResponse& search);

// At most `limit` trials in the order of the answer: number, objective, the values in columns
// (or in one, if that makes it fit the terminal better), epochs, time, and a star for those on the
// Pareto front. `with_all`: also those that failed or have no value yet, with their states.
std::string TrialTable(const v1::ListTrialsResponse& search, size_t limit, bool with_all,
                       const TerminalTraits& traits);

// A bar for each key; empty if nothing is known of them.
std::string ImportanceBars(const v1::ListTrialsResponse& search, const TerminalTraits& traits);

// Of the objective, over all values but those that are far worse than most (beyond Tukey's fence:
// one and a half times the distance of the quartiles behind the worse one).
Axis ObjectiveAxis(const v1::ListTrialsResponse& search);

// Objective over training time of the trials that trained to the end; those that no other is better
// and faster than stand out and are joined.
Plot ParetoPlot(const v1::ListTrialsResponse& search);

// All of the above, the ten best trials. Empty if there are no trials.
std::string SearchSummary(const v1::ListTrialsResponse& search, const TerminalTraits& traits);

// Metrics over the folds, of the steps among `tasks` that have them; empty if none has.
std::string FoldTable(const std::vector<v1::Task>& tasks);

}  // namespace beamline::cli
