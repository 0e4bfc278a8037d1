#include "server/api/pipeline_api.h"

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "pipeline/dependencies.h"
#include "pipeline/plan/plan.h"
#include "pipeline/programs.h"
#include "pipeline/resolve.h"
#include "pipeline/yaml.h"
#include "server/api/answer.h"
#include "server/api/cluster_api.h"
#include "server/coordinator.h"
#include "server/dataset_lookup.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/planning.h"
#include "server/publish.h"
#include "server/step_cache.h"
#include "server/work_pool.h"
#include "store/pipelines.h"

namespace beamline::server {
namespace {

absl::StatusOr<pipeline::Resolved> Resolve(store::Store& store, std::string_view parent,
                                           const v1::DefinitionSource& source) {
  ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", parent));
  if (source.form_case() == v1::DefinitionSource::FORM_NOT_SET) {
    return BadField("source", "must have a definition or yaml");
  }
  ASSIGN_OR_RETURN(const store::Reader reader, store.Read());
  ProjectDatasets datasets(reader, project);
  pipeline::Resolved resolved = pipeline::ResolveDefinition(source, datasets.Lookup());
  RETURN_IF_ERROR(datasets.status());
  return resolved;
}

template <class Response>
void AddArcs(const v1::PipelineDefinition& definition, Response& response) {
  for (v1::StepArc& arc : pipeline::ArcsOf(definition)) *response.add_arcs() = std::move(arc);
}

// Other files and predictions wait meanwhile. Unit: milliseconds.
constexpr int64_t kMostPlanMs = 60'000;

// What a plan ends with before it is done; OK: it goes on.
absl::Status GoesOn(const WorkPool& pool, const Waiting& waiting, bool late) {
  if (pool.stopping()) {
    return absl::UnavailableError("the server is stopping: try again when it is back");
  }
  const bool waited_for = waiting == nullptr || waiting();
  if (!waited_for) return absl::CancelledError("the caller has gone");
  if (!late) return absl::OkStatus();
  return absl::ResourceExhaustedError("it takes longer than a minute: plan a part of the steps");
}

// `go_on` is asked at the start and before each step; what it says if that is not OK is the answer.
absl::StatusOr<v1::PlanPipelineResponse> Plan(store::Store& store,
                                              const v1::PlanPipelineRequest& request,
                                              const v1::ListWorkersResponse& workers,
                                              const std::function<absl::Status()>& go_on) {
  RETURN_IF_ERROR(go_on());
  ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", request.parent()));
  if (request.source().form_case() == v1::DefinitionSource::FORM_NOT_SET) {
    return BadField("source", "must have a definition or yaml");
  }
  ASSIGN_OR_RETURN(const store::Reader reader, store.Read());
  ProjectDatasets datasets(reader, project);
  pipeline::Findings findings;
  const pipeline::Resolved resolved = pipeline::ResolveRun(
      request.source(), request.parameters(), request.inputs(), datasets.Lookup(), &findings);
  RETURN_IF_ERROR(datasets.status());
  RETURN_IF_ERROR(resolved.verdict.ToStatus());
  absl::Status stopped;
  pipeline::PlanRequest plan{
      .definition = resolved.definition,
      .findings = findings,
      .datasets = datasets.Lookup(),
      .workers = {},
      .slots =
          [&](const v1::Worker& worker, const v1::Step& step, const v1::Resources& resources) {
            return SlotsOf(worker, DemandOf(resources),
                           pipeline::ImageOf(resolved.definition, step));
          },
      .go_on =
          [&] {
            stopped = go_on();
            return stopped.ok();
          }};
  ASSIGN_OR_RETURN(plan.taken, FindEarlierResults(reader, project, resolved.definition));
  for (const v1::Worker& worker : workers.workers()) {
    if (worker.state() == v1::WORKER_STATE_READY) plan.workers.push_back(worker);
  }
  v1::PlanPipelineResponse response = pipeline::MakePlan(plan);
  RETURN_IF_ERROR(stopped);
  RETURN_IF_ERROR(datasets.status());
  return response;
}

}  // namespace

PipelineApi::PipelineApi(ApiContext context) : context_(context) {}
PipelineApi::~PipelineApi() = default;

void PipelineApi::ValidatePipeline(const auth::Principal&,
                                   const v1::ValidatePipelineRequest& request,
                                   Done<v1::ValidatePipelineResponse> done) {
  done([&]() -> absl::StatusOr<v1::ValidatePipelineResponse> {
    ASSIGN_OR_RETURN(pipeline::Resolved resolved,
                     Resolve(context_.store, request.parent(), request.source()));
    v1::ValidatePipelineResponse response;
    for (v1::Violation& violation : resolved.verdict.violations) {
      *response.add_violations() = std::move(violation);
    }
    for (v1::Violation& violation : resolved.verdict.unimplemented) {
      *response.add_violations() = std::move(violation);
    }
    if (response.violations().empty()) {
      AddArcs(resolved.definition, response);
      *response.mutable_definition() = std::move(resolved.definition);
    }
    return response;
  }());
}

void PipelineApi::CreatePipeline(const auth::Principal& caller,
                                 const v1::CreatePipelineRequest& request,
                                 Done<v1::Pipeline> done) {
  auto resolved = Resolve(context_.store, request.parent(), request.source());
  if (resolved.ok()) {
    if (absl::Status bad = resolved->verdict.ToStatus(); !bad.ok()) resolved = std::move(bad);
  }
  if (!resolved.ok()) return done(resolved.status());
  context_.coordinator.Call<v1::Pipeline>(
      [caller, request, definition = std::move(resolved->definition)](
          Transaction& tx) -> absl::StatusOr<v1::Pipeline> {
        const Mutation mutation{.caller = caller,
                                .method = "PipelineService.CreatePipeline",
                                .resource = request.parent(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Pipeline>(tx, mutation, [&]() -> absl::StatusOr<v1::Pipeline> {
          ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", request.parent()));
          return StorePipelineVersion(tx, project, definition, caller.name);
        });
      },
      std::move(done));
}

void PipelineApi::GetPipeline(const auth::Principal&, const v1::GetPipelineRequest& request,
                              Done<v1::Pipeline> done) {
  done([&]() -> absl::StatusOr<v1::Pipeline> {
    ASSIGN_OR_RETURN(const ChildName name, ParsePipelineName("name", request.name()));
    if (request.version() < 0) return BadField("version", "must not be negative");
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(v1::Pipeline found,
                     store::GetPipeline(reader, name.project, name.id, request.version()));
    found.set_yaml(pipeline::WriteYaml(found.definition()));
    AddArcs(found.definition(), found);
    return found;
  }());
}

void PipelineApi::ListPipelines(const auth::Principal&, const v1::ListPipelinesRequest& request,
                                Done<v1::ListPipelinesResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListPipelinesResponse> {
    ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", request.parent()));
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
    const std::string scope = absl::StrCat("pipelines|", project);
    ASSIGN_OR_RETURN(const std::string after, ReadPageToken(scope, request.page_token()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(auto pipelines, store::ListPipelines(reader, project, after, size + 1));
    return PageById<v1::ListPipelinesResponse>(std::move(pipelines), size, scope,
                                               &v1::ListPipelinesResponse::mutable_pipelines);
  }());
}

void PipelineApi::PlanPipeline(const auth::Principal&, const v1::PlanPipelineRequest& request,
                               Waiting waiting, Done<v1::PlanPipelineResponse> done) {
  context_.coordinator.Call<v1::ListWorkersResponse>(
      [&sessions = context_.sessions](Transaction& tx) {
        return DescribeWorkers(tx, sessions, false);
      },
      [context = context_, request, waiting = std::move(waiting),
       done = std::move(done)](absl::StatusOr<v1::ListWorkersResponse> workers) mutable {
        if (!workers.ok()) return done(workers.status());
        auto answer = std::make_shared<Done<v1::PlanPipelineResponse>>(std::move(done));
        const bool accepted = context.heavy_pool.Run(
            [&store = context.store, &pool = context.heavy_pool, &clock = context.clock, request,
             answer, waiting = std::move(waiting), workers = *std::move(workers)] {
              const int64_t end_ms = clock.MonotonicMillis() + kMostPlanMs;
              (*answer)(Plan(store, request, workers, [&] {
                return GoesOn(pool, waiting, clock.MonotonicMillis() >= end_ms);
              }));
            });
        if (!accepted) (*answer)(Overloaded("too much is being planned: try again", 1'000));
      });
}

}  // namespace beamline::server
