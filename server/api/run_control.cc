// Calls that steer runs which are there already.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "server/api/run_api.h"
#include "server/coordinator.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/requirements.h"
#include "server/run_progress.h"
#include "server/states.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

constexpr size_t kMaxReasonLength = 1'000;

absl::Status CannotChange(const v1::Run& run, const char* what) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the run ", IsTerminal(run.state()) ? "has ended" : "is being cancelled", ": ", what));
}

bool CanGoOn(const v1::Run& run) {
  return !IsTerminal(run.state()) && run.state() != v1::RUN_STATE_CANCELLING && !run.has_failure();
}

// Calls `act` on the run that the request names, once, and answers with what became of the run.
template <class Request, class Act>
void Steer(const ApiContext& context, const auth::Principal& caller, const char* method,
           const Request& request, Act act, Done<v1::Run> done) {
  const auto name = ParseRunName("name", request.name());
  if (!name.ok()) return done(name.status());
  context.coordinator.Call<v1::Run>(
      [caller, method, request, act = std::move(act),
       name = *name](Transaction& tx) -> absl::StatusOr<v1::Run> {
        const Mutation mutation{.caller = caller,
                                .method = method,
                                .resource = request.name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Run>(tx, mutation, [&]() -> absl::StatusOr<v1::Run> {
          ASSIGN_OR_RETURN(store::StoredRun run, store::GetRun(tx.store(), name.project, name.id));
          RETURN_IF_ERROR(act(tx, run));
          ASSIGN_OR_RETURN(run, store::GetRun(tx.store(), name.project, name.id));
          return std::move(run.message);
        });
      },
      std::move(done));
}

}  // namespace

void RunApi::CancelRun(const auth::Principal& caller, const v1::CancelRunRequest& request,
                       Done<v1::Run> done) {
  if (request.reason().size() > kMaxReasonLength) {
    return done(BadField("reason", "must have at most 1000 characters"));
  }
  Steer(
      context_, caller, "RunService.CancelRun", request,
      [reason = request.reason()](Transaction& tx, store::StoredRun& run) {
        return server::CancelRun(tx, run, reason);
      },
      std::move(done));
}

void RunApi::PauseRun(const auth::Principal& caller, const v1::PauseRunRequest& request,
                      Done<v1::Run> done) {
  Steer(
      context_, caller, "RunService.PauseRun", request,
      [](Transaction& tx, store::StoredRun& run) {
        if (run.message.state() == v1::RUN_STATE_PAUSED) return absl::OkStatus();
        if (!CanGoOn(run.message)) return CannotChange(run.message, "there is nothing to pause");
        return server::PauseRun(tx, run);
      },
      std::move(done));
}

void RunApi::ResumeRun(const auth::Principal& caller, const v1::ResumeRunRequest& request,
                       Done<v1::Run> done) {
  Steer(
      context_, caller, "RunService.ResumeRun", request,
      [](Transaction& tx, store::StoredRun& run) {
        if (!CanGoOn(run.message)) {
          return CannotChange(run.message,
                              "\"run retry\" makes it anew, without the steps that "
                              "succeeded");
        }
        if (run.message.state() != v1::RUN_STATE_PAUSED) return absl::OkStatus();
        return server::ResumeRun(tx, run);
      },
      std::move(done));
}

void RunApi::RetryRun(const auth::Principal& caller, const v1::RetryRunRequest& request,
                      Done<v1::Run> done) {
  const auto name = ParseRunName("name", request.name());
  if (!name.ok()) return done(name.status());
  const std::string id = NewId("r", context_.clock.Now(), context_.random);
  context_.coordinator.Call<v1::Run>(
      [caller, request, id, name = *name,
       limits = context_.limits](Transaction& tx) -> absl::StatusOr<v1::Run> {
        const Mutation mutation{.caller = caller,
                                .method = "RunService.RetryRun",
                                .resource = request.name(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Run>(tx, mutation, [&]() -> absl::StatusOr<v1::Run> {
          ASSIGN_OR_RETURN(const store::StoredRun before,
                           store::GetRun(tx.store(), name.project, name.id));
          const v1::Run& old = before.message;
          if (old.state() != v1::RUN_STATE_FAILED && old.state() != v1::RUN_STATE_CANCELLED) {
            return absl::FailedPreconditionError(
                old.state() == v1::RUN_STATE_SUCCEEDED
                    ? "the run has succeeded: there is nothing to try again"
                    : "the run has not ended: cancel it first");
          }
          v1::Run run;
          run.set_name(RunName(name.project, id));
          run.set_pipeline(old.pipeline());
          run.set_pipeline_version(old.pipeline_version());
          *run.mutable_definition() = old.definition();
          *run.mutable_parameters() = old.parameters();
          run.set_priority(old.priority());
          run.set_creator(caller.name);
          run.set_retry_of(old.name());
          RETURN_IF_ERROR(CheckAcceptable(tx, name.project, run, limits));
          RETURN_IF_ERROR(StartRun(tx, name.project, run));
          return run;
        });
      },
      std::move(done));
}

}  // namespace beamline::server
