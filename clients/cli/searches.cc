#include "clients/cli/searches.h"

#include <utility>

#include "base/status_macros.h"
#include "clients/cli/patience.h"

namespace beamline::cli {

absl::StatusOr<std::vector<v1::ListTrialsResponse>> SearchesOf(Invocation& invocation,
                                                               const v1::Run& run) {
  std::vector<v1::ListTrialsResponse> searches;
  for (const v1::Step& step : run.definition().steps()) {
    if (!step.has_search()) continue;
    v1::ListTrialsRequest request;
    request.set_parent(run.name());
    request.set_step(step.name());
    ASSIGN_OR_RETURN(v1::ListTrialsResponse search,
                     CallPatiently(invocation, kListTrials, request));
    searches.push_back(std::move(search));
  }
  return searches;
}

}  // namespace beamline::cli
