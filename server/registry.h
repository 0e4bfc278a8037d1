// The registry of models: what versions are for, and making one again.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "auth/principal.h"
#include "beamline/v1/model.pb.h"
#include "server/api/context.h"
#include "server/names.h"
#include "server/transaction.h"

namespace beamline::server {

// The version that `name` names: by number, by stage, or the latest. NotFound if there is none.
absl::StatusOr<v1::Model> LookUpModel(const store::View& view, const ModelName& name);

// Within a command. A version that goes into production sends the one before into the archive.
absl::StatusOr<v1::Model> SetStage(Transaction& transaction, const ModelName& name,
                                   v1::ModelStage stage);

// Within a command: starts the run `run` ("projects/P/runs/R"), which trains the model again. It
// has the step that made it and what that needs, and publishes nothing. FailedPrecondition if its
// run or data are gone.
absl::StatusOr<v1::ReproduceModelResponse> Reproduce(Transaction& transaction,
                                                     const ModelName& name, const std::string& run,
                                                     const auth::Principal& caller,
                                                     const Limits& limits);

}  // namespace beamline::server
