// Whether a project may run programs of its members' own.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "beamline/v1/pipeline.pb.h"
#include "store/store.h"

namespace beamline::server {

// FailedPrecondition, with what an operator would do, if a step of `definition` runs a program and
// the project may not. Asked when a run is made, and again whenever an attempt is.
absl::Status CheckCommands(const store::View& view, std::string_view project,
                           const v1::PipelineDefinition& definition);

}  // namespace beamline::server
