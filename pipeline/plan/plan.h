// What a run would take, said before anything of it is queued.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "beamline/v1/cluster.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "pipeline/plan/train_facts.h"
#include "pipeline/validate.h"

namespace beamline::pipeline {

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
  // By step the task of an earlier run whose result it would take.
  std::map<std::string, std::string> taken = {};
  // Asked before each step; once it says false the plan ends there, and is of no use. Null: to the
  // end.
  std::function<bool()> go_on = nullptr;
};

// Never throws. Builds graphs without the values in them: milliseconds for a step, more for a
// search, of which the first trials are planned. Only of a network over one graph of nodes its arcs
// and (zero) features are held, of 64 MiB at most; larger ones are not planned. Thread-safe.
v1::PlanPipelineResponse MakePlan(const PlanRequest& request);

}  // namespace beamline::pipeline
