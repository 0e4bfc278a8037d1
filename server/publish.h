// Puts what runs make into the registry: models, data sets, and versions of pipelines beside them.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "beamline/v1/pipeline.pb.h"
#include "server/transaction.h"
#include "store/runs.h"

namespace beamline::server {

// If `task` is a publish step that has just succeeded, registers the model that it names as the
// next version, once, and puts its name into the task's result. Nothing for other steps.
// FailedPrecondition if the step that trained the model left none.
absl::Status PublishIfAsked(Transaction& transaction, const store::StoredRun& run,
                            store::StoredTask& task);

// Makes the rows that a train step's folds were measured on, or what a predict step says of rows, a
// dataset of the project, if `task`, the step's own, has left them; it is there already if the same
// was done before. Of tables in its result, those of trials and folds too, nothing else that the
// worker has said stays but their rows and columns.
absl::Status KeepMadeDatasets(Transaction& transaction, const store::StoredRun& run,
                              store::StoredTask& task);

// Stores `definition` as the next version of its name; the latest version if that is the same.
absl::StatusOr<v1::Pipeline> StorePipelineVersion(Transaction& transaction,
                                                  std::string_view project,
                                                  const v1::PipelineDefinition& definition,
                                                  std::string_view creator);

}  // namespace beamline::server
