// Calls about what models are for, and where they came from.
#include <memory>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/status_macros.h"
#include "server/api/model_api.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/lineage.h"
#include "server/names.h"
#include "server/registry.h"
#include "server/work_pool.h"

namespace beamline::server {

void ModelApi::SetModelStage(const auth::Principal& caller, const v1::SetModelStageRequest& request,
                             Done<v1::Model> done) {
  const auto name = ParseModelName("name", request.name());
  if (!name.ok()) return done(name.status());
  if (name->version == 0) return done(BadField("name", "must name a version: .../versions/3"));
  if (!v1::ModelStage_IsValid(request.stage()) || request.stage() == v1::MODEL_STAGE_UNSPECIFIED) {
    return done(BadField("stage", "must be none, staging, production or archived"));
  }
  context_.coordinator.Call<v1::Model>(
      [caller, request, name = *name](Transaction& tx) -> absl::StatusOr<v1::Model> {
        const Mutation mutation{.caller = caller,
                                .method = "ModelService.SetModelStage",
                                .resource = request.name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Model>(tx, mutation, [&] { return SetStage(tx, name, request.stage()); });
      },
      std::move(done));
}

void ModelApi::GetLineage(const auth::Principal&, const v1::GetLineageRequest& request,
                          Done<v1::GetLineageResponse> done) {
  auto answer = std::make_shared<Done<v1::GetLineageResponse>>(std::move(done));
  // It may look at many runs.
  const bool accepted = context_.heavy_pool.Run([context = context_, request, answer] {
    (*answer)([&]() -> absl::StatusOr<v1::GetLineageResponse> {
      ASSIGN_OR_RETURN(const store::Reader reader, context.store.Read());
      return LineageOf(reader, request.name());
    }());
  });
  if (!accepted) (*answer)(Overloaded("too much is under way: try again", 1'000));
}

void ModelApi::ReproduceModel(const auth::Principal& caller,
                              const v1::ReproduceModelRequest& request,
                              Done<v1::ReproduceModelResponse> done) {
  const auto name = ParseModelName("name", request.name());
  if (!name.ok()) return done(name.status());
  const std::string run = RunName(name->project, NewId("r", context_.clock.Now(), context_.random));
  context_.coordinator.Call<v1::ReproduceModelResponse>(
      [caller, request, run, name = *name,
       limits = context_.limits](Transaction& tx) -> absl::StatusOr<v1::ReproduceModelResponse> {
        const Mutation mutation{.caller = caller,
                                .method = "ModelService.ReproduceModel",
                                .resource = request.name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::ReproduceModelResponse>(
            tx, mutation, [&] { return Reproduce(tx, name, run, caller, limits); });
      },
      std::move(done));
}

}  // namespace beamline::server
