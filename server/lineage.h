// Where things came from, and what was made of them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "beamline/v1/model.pb.h"
#include "store/store.h"

namespace beamline::server {

// Ancestors and descendants of a dataset, run or model version of a project, nearest first. Looks
// at the newest 20,000 runs. InvalidArgument if the name is none of these, NotFound if there is no
// such thing.
absl::StatusOr<v1::GetLineageResponse> LineageOf(const store::View& view, const std::string& name);

}  // namespace beamline::server
