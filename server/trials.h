// The trials of a step, put together from its tasks.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "beamline/v1/run.pb.h"
#include "pipeline/search/search.h"
#include "store/trials.h"

namespace beamline::server {

// A part of a trial: to the end of some epoch, all its folds.
struct TrialPart {
  v1::Trial trial;  // without a fold
  // By fold; one if there are none.
  std::vector<const store::StoredTrial*> tasks;
  pipeline::search::Outcome::State state = pipeline::search::Outcome::State::kUnknown;
  // The objective, if it is known: over the folds.
  v1::FoldStatistics value;
};

// It ended without a value by which it could be compared.
bool HasFailed(const store::StoredTrial& trial);

v1::FoldStatistics StatisticsOf(std::vector<double> values);

// By number and epochs, full trainings last. A part has failed as soon as one of its folds has, and
// has succeeded once all have. Refers to `trials`.
std::vector<TrialPart> PartsOf(const std::vector<store::StoredTrial>& trials);

pipeline::search::Outcome OutcomeOf(const TrialPart& part);

// For users: all trials of a step, the best first, and what they tell.
absl::StatusOr<v1::ListTrialsResponse> Summarize(const store::View& view, std::string_view run,
                                                 const v1::Step& step);

}  // namespace beamline::server
