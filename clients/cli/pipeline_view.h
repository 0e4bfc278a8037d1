// A pipeline as a graph of its inputs and steps.
#pragma once

#include <vector>

#include "beamline/v1/pipeline.pb.h"
#include "clients/cli/dag.h"

namespace beamline::cli {

// Inputs and steps, each behind all that it reads or waits for, which `arcs` say; inputs as late as
// they can be, unused ones not at all. Arcs from or to what the definition does not have are left
// out.
std::vector<DagNode> PipelineGraph(const v1::PipelineDefinition& definition,
                                   const google::protobuf::RepeatedPtrField<v1::StepArc>& arcs);

}  // namespace beamline::cli
