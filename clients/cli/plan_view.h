// A plan as a terminal shows it.
#pragma once

#include <string>

#include "beamline/v1/pipeline.pb.h"

namespace beamline::cli {

// A table with a line for each step, one of the memory by device, what the times rest on, and what
// to change. Ends with a newline.
std::string PlanText(const v1::PlanPipelineResponse& plan);

}  // namespace beamline::cli
