// What a run would take, said before anything of it is queued.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "pipeline/plan/train_facts.h"
#include "pipeline/validate.h"

namespace beamline::pipeline {

// A training of the same structure that this project has done.
struct EarlierTraining {
  double seconds = 0;
  // "projects/P/runs/R".
  std::string run;
};

struct PlanRequest {
  // Validate found nothing in it, and filled in `findings`.
  const v1::PipelineDefinition& definition;
  const Findings& findings;
  DatasetLookup datasets;
  // Those at hand.
  std::vector<v1::Worker> workers;
  // How many tasks of the step with these resources the worker holds at once if it has no others;
  // 0: it is none of those that may have one.
  std::function<int(const v1::Worker& worker, const v1::Step& step, const v1::Resources& resources)>
      slots;
};

// Never throws. Builds graphs and holds none of their values: milliseconds for a step, more for a
// search, of which the first trials are planned. Thread-safe.
v1::PlanPipelineResponse MakePlan(const PlanRequest& request);

}  // namespace beamline::pipeline
