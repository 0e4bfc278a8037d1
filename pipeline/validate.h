// Says everything that is wrong with a definition before anything of it runs: what is accepted
// here can run.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "pipeline/plan/train_facts.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

// The dataset of that name (as written in Input.dataset) with schema and statistics, or null if
// there is none. The pointer must stay good until the validation returns.
using DatasetLookup = std::function<const v1::Dataset*(std::string_view name)>;

struct ValidateOptions {
  // Empty: schemas are not known, and what depends on them is not checked.
  DatasetLookup datasets;
  // For a run: every input must be a dataset that `datasets` knows. Otherwise inputs that are still
  // local files are accepted, and what depends on their columns is not checked.
  bool for_run = false;
  // Tables by the names that steps use for them, inputs or made by steps, with schema and
  // statistics: for the worker, which has them when a step of theirs starts. They come before all
  // else that is known of these tables.
  std::map<std::string, v1::Dataset> tables;
  // Filled in if it is not null: then memory that does not suffice is no error. It is for a
  // planner, which says what would.
  Findings* findings = nullptr;
  // Of the text that the definition was read from; may be null.
  const Positions* positions = nullptr;
};

struct Verdict {
  // Errors: INVALID_ARGUMENT. In the order of the definition.
  std::vector<v1::Violation> violations;
  // Right, but not built yet: UNIMPLEMENTED. Each says what, and what to use instead if there is
  // something.
  std::vector<v1::Violation> unimplemented;

  bool ok() const { return violations.empty() && unimplemented.empty(); }
  // OK, InvalidArgument (if there is any error) or Unimplemented, as in violation.h.
  absl::Status ToStatus() const;
};

// Never throws. Thread-safe.
Verdict Validate(const v1::PipelineDefinition& definition, const ValidateOptions& options = {});

}  // namespace beamline::pipeline
