// What to change where a step does not fit, or would not end in time.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "pipeline/plan/training_estimate.h"

namespace beamline::pipeline {

using StepPlan = v1::PlanPipelineResponse::StepPlan;
using DevicePlan = v1::PlanPipelineResponse::DevicePlan;

// Each adds to plan->advice() what is worth saying, if anything is. Resources with defaults in
// place of zeros.

// No worker at hand has what the step needs.
void AdviseOnWorkers(const v1::Resources& resources, const std::vector<v1::Worker>& workers,
                     StepPlan* plan);
// The memory of the step, against its largest training and the features of one.
void AdviseOnMemory(const v1::Step& step, const v1::Resources& resources,
                    TrainingEstimate& training, StepPlan* plan);
// The memory of GPUs, by model.
void AdviseOnGpus(const std::map<std::string, DevicePlan>& devices, int64_t fitting_batch,
                  StepPlan* plan);
// Against timeout_seconds, and against patience. Precondition: expected_seconds is set.
void AdviseOnTime(const v1::Step& step, StepPlan* plan);

}  // namespace beamline::pipeline
