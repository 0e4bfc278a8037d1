// The tasks of steps that are repeated, as searches need to know them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/run.pb.h"
#include "beamline/v1/search.pb.h"
#include "store/store.h"

namespace beamline::store {

struct StoredTrial {
  std::string run;
  std::string step;
  // Id of its task.
  std::string task;
  v1::TaskState state = v1::TASK_STATE_UNSPECIFIED;
  // The objective, if its task succeeded and measured it.
  std::optional<double> value;
  // What the attempt that succeeded took.
  double seconds = 0;
  v1::Trial message;
};

// By number, epochs and fold.
absl::StatusOr<std::vector<StoredTrial>> ListTrials(const View& view, std::string_view run,
                                                    std::string_view step);
absl::Status InsertTrial(Writer& writer, const StoredTrial& trial);
// State, value and seconds. NotFound if there is no such trial.
absl::Status UpdateTrial(Writer& writer, const StoredTrial& trial);

}  // namespace beamline::store
