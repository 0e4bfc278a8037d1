// Results of steps that later runs of the project may take, instead of doing the same again.
//
// A result is found by a key: what the step does (its definition and seed, but for what never
// changes a result: names of steps before it, resources, retries, checkpoints), the digests of what
// it reads, and the digest of the code. Only whole steps are taken, with a search or without; a
// publish step has an effect and never is. All within a command of the coordinator.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// SHA-256 of the sources that decide what a step computes, in hexadecimal.
extern const char kCodeDigest[];

// If an earlier run has the result of `task`, a step's own whose inputs are there: makes it
// SUCCEEDED with that result (TaskResult.taken_from), stores it with its event, and returns true.
absl::StatusOr<bool> TakeEarlierResult(Transaction& transaction, const store::StoredRun& run,
                                       store::StoredTask& task);

// Of a run that is not made yet: by step the names of the tasks whose results it would take.
// `definition` is one that may run, its inputs datasets of the project.
absl::StatusOr<std::map<std::string, std::string>> FindEarlierResults(
    const store::View& view, const std::string& project, const v1::PipelineDefinition& definition);

// Lets later runs take the result of `task`, a step's own that has SUCCEEDED.
absl::Status KeepResult(Transaction& transaction, const store::StoredRun& run,
                        const store::StoredTask& task);

}  // namespace beamline::server
