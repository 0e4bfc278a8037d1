// Which task has the result of a step, by what the step did to what.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "store/store.h"

namespace beamline::store {

struct StepResult {
  std::string run;
  // Id of the task in the run.
  std::string task;
};

// NotFound if the project has none under that key.
absl::StatusOr<StepResult> FindStepResult(const View& view, std::string_view project,
                                          std::string_view key);
// The first one stays, unless this one is to `replace` it.
absl::Status KeepStepResult(Writer& writer, std::string_view project, std::string_view key,
                            const StepResult& result, bool replace);

}  // namespace beamline::store
