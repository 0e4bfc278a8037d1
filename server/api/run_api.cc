#include "server/api/run_api.h"

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/askable.h"
#include "pipeline/expand.h"
#include "pipeline/resolve.h"
#include "pipeline/trial.h"
#include "pipeline/violation.h"
#include "pipeline/yaml.h"
#include "server/api/answer.h"
#include "server/coordinator.h"
#include "server/dataset_lookup.h"
#include "server/errors.h"
#include "server/idempotency.h"
#include "server/names.h"
#include "server/paging.h"
#include "server/publish.h"
#include "server/requirements.h"
#include "server/run_progress.h"
#include "server/trials.h"
#include "server/waits.h"
#include "store/events.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

constexpr int32_t kMaxPriority = 100;

// A run that may be accepted.
struct Accepted {
  // The definition before parameters and inputs, to be stored as a version; nothing if the run
  // names a stored one.
  std::optional<v1::PipelineDefinition> written;
  v1::Run run;
};

absl::Status CheckCreateRun(const v1::CreateRunRequest& request) {
  FieldErrors errors;
  errors.Check("request_id", CheckRequestId(request.request_id()));
  if (request.priority() < -kMaxPriority || request.priority() > kMaxPriority) {
    errors.Add("priority", "must be from -100 to 100");
  }
  if (request.pipeline_case() == v1::CreateRunRequest::PIPELINE_NOT_SET) {
    errors.Add("source", "or pipeline_name must be given");
  }
  if (request.pipeline_version() < 0) errors.Add("pipeline_version", "must not be negative");
  if (request.has_source() && request.pipeline_version() != 0) {
    errors.Add("pipeline_version", "goes with pipeline_name only");
  }
  return errors.ToStatus();
}

absl::StatusOr<v1::Pipeline> FindPipeline(const store::View& view, std::string_view project,
                                          const v1::CreateRunRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name,
                   ParsePipelineName("pipeline_name", request.pipeline_name()));
  if (name.project != project) {
    return absl::NotFoundError(
        absl::StrCat("pipeline ", request.pipeline_name(), " does not exist"));
  }
  return store::GetPipeline(view, name.project, name.id, request.pipeline_version());
}

// Applies parameters and inputs, and validates. Text in `source` is read once and becomes a
// message; only for the places of errors in it is it read again.
absl::StatusOr<pipeline::Resolved> Resolve(const store::View& view, std::string_view project,
                                           const v1::CreateRunRequest& request,
                                           v1::DefinitionSource& source) {
  ProjectDatasets datasets(view, project);
  const auto resolve = [&](const v1::DefinitionSource& from) {
    return pipeline::ResolveRun(from, request.parameters(), request.inputs(), datasets.Lookup());
  };
  const v1::DefinitionSource original = source;
  if (source.has_yaml()) {
    pipeline::ParsedDefinition parsed = pipeline::ParseDefinition(original.yaml());
    if (!parsed.violations.empty()) return pipeline::ToInvalidArgument(parsed.violations);
    *source.mutable_definition() = std::move(parsed.definition);
  }
  pipeline::Resolved resolved = resolve(source);
  if (!resolved.verdict.ok() && original.has_yaml()) resolved = resolve(original);
  RETURN_IF_ERROR(datasets.status());
  RETURN_IF_ERROR(resolved.verdict.ToStatus());
  return resolved;
}

// Gives the step the program that is the learner of `model`, which it asks of rows.
absl::Status TakeProgram(const v1::Model& model, v1::Step& step) {
  const v1::Program& program = model.card().learner().command().program();
  const std::string path = absl::StrCat("steps.", step.name());
  if (step.resources().gpus() > 0 || step.resources().device() == v1::DEVICE_KIND_CUDA) {
    return absl::UnimplementedError(absl::StrCat(
        path, ".resources: programs on graphics processors are not built yet, and the learner of ",
        model.name(), " is one: leave gpus and device out"));
  }
  if (step.has_evaluate()) {
    *step.mutable_evaluate()->mutable_program() = program;
  } else if (step.has_predict()) {
    *step.mutable_predict()->mutable_program() = program;
  } else {
    return BadField(path + ".train.initial_model",
                    absl::StrCat("is ", model.name(),
                                 ", whose learner is a program and has no layers to begin with"));
  }
  return absl::OkStatus();
}

// The registered models that steps use must be there, and answer what steps ask them.
absl::Status FindModels(const store::View& view, std::string_view project,
                        v1::PipelineDefinition& definition) {
  for (v1::Step& step : *definition.mutable_steps()) {
    // Nobody's word but the registry's.
    if (step.has_evaluate()) step.mutable_evaluate()->clear_program();
    if (step.has_predict()) step.mutable_predict()->clear_program();
    for (const std::string& model : pipeline::PlanTask(definition, step, {}).models) {
      ASSIGN_OR_RETURN(const ModelName name, ParseModelName(step.name() + ".model", model));
      if (name.project != project) {
        return absl::NotFoundError(absl::StrCat("model ", model, " does not exist"));
      }
      ASSIGN_OR_RETURN(const v1::Model found,
                       store::GetModel(view, name.project, name.id, name.version));
      RETURN_IF_ERROR(pipeline::CheckRegistered(step, found.card()));
      if (found.card().learner().has_command()) RETURN_IF_ERROR(TakeProgram(found, step));
    }
  }
  return absl::OkStatus();
}

// Everything about the request that can be found out without the coordinator.
absl::StatusOr<Accepted> Examine(const store::View& view, std::string_view project,
                                 const v1::CreateRunRequest& request) {
  RETURN_IF_ERROR(CheckCreateRun(request));
  Accepted accepted;
  v1::DefinitionSource source = request.source();
  if (request.has_pipeline_name()) {
    ASSIGN_OR_RETURN(v1::Pipeline stored, FindPipeline(view, project, request));
    *source.mutable_definition() = std::move(*stored.mutable_definition());
    accepted.run.set_pipeline(stored.name());
    accepted.run.set_pipeline_version(stored.version());
  }
  ASSIGN_OR_RETURN(pipeline::Resolved resolved, Resolve(view, project, request, source));
  if (request.has_source()) accepted.written = std::move(*source.mutable_definition());
  v1::PipelineDefinition& definition = *accepted.run.mutable_definition();
  definition = std::move(resolved.definition);
  for (auto& [name, input] : *definition.mutable_inputs()) {
    input.set_dataset(DatasetName(project, store::IdOf(input.dataset())));
  }
  RETURN_IF_ERROR(FindModels(view, project, definition));
  *accepted.run.mutable_parameters() = request.parameters();
  accepted.run.set_priority(request.priority());
  accepted.run.set_fresh(request.fresh());
  return accepted;
}

// The step of that name, or the only one that is repeated.
absl::StatusOr<const v1::Step*> FindRepeated(const v1::PipelineDefinition& definition,
                                             const std::string& name) {
  std::vector<const v1::Step*> repeated;
  for (const v1::Step& step : definition.steps()) {
    // The trainings of a study are not compared: its result says all of them.
    const bool has_trials = pipeline::IsRepeated(step) && !step.has_scaling_study();
    if (has_trials) repeated.push_back(&step);
    if (name.empty() || step.name() != name) continue;
    if (has_trials) return &step;
    return absl::FailedPreconditionError(
        absl::StrCat("step ", name, " has neither a search nor cross-validation"));
  }
  if (!name.empty()) return absl::NotFoundError(absl::StrCat("step ", name, " does not exist"));
  if (repeated.size() == 1) return repeated.front();
  if (repeated.empty()) {
    return absl::FailedPreconditionError("no step of the run has a search or cross-validation");
  }
  return BadField(
      "step", absl::StrCat("must be given: ", repeated.size(), " steps of the run are repeated"));
}

}  // namespace

RunApi::RunApi(ApiContext context) : context_(context) {}
RunApi::~RunApi() = default;

void RunApi::CreateRun(const auth::Principal& caller, const v1::CreateRunRequest& request,
                       Done<v1::Run> done) {
  const auto project = ParseProjectName("parent", request.parent());
  if (!project.ok()) return done(project.status());
  auto examined = [&]() -> absl::StatusOr<Accepted> {
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    return Examine(reader, *project, request);
  }();
  // A repeated call must get its answer even if what it names has gone since.
  const bool may_be_repeated =
      !request.request_id().empty() && CheckRequestId(request.request_id()).ok();
  if (!examined.ok() && !may_be_repeated) return done(examined.status());
  const std::string id = NewId("r", context_.clock.Now(), context_.random);
  context_.coordinator.Call<v1::Run>(
      [caller, request, id, project = *project, examined = std::move(examined),
       limits = context_.limits](Transaction& tx) mutable -> absl::StatusOr<v1::Run> {
        const Mutation mutation{.caller = caller,
                                .method = "RunService.CreateRun",
                                .resource = request.parent(),
                                .request_id = request.request_id(),
                                .request = request};
        return Once<v1::Run>(tx, mutation, [&]() -> absl::StatusOr<v1::Run> {
          RETURN_IF_ERROR(examined.status());
          v1::Run& run = examined->run;
          RETURN_IF_ERROR(CheckAcceptable(tx, project, run, limits));
          run.set_name(RunName(project, id));
          run.set_creator(caller.name);
          if (examined->written.has_value()) {
            ASSIGN_OR_RETURN(const v1::Pipeline stored,
                             StorePipelineVersion(tx, project, *examined->written, caller.name));
            run.set_pipeline(stored.name());
            run.set_pipeline_version(stored.version());
          }
          RETURN_IF_ERROR(StartRun(tx, project, run));
          return run;
        });
      },
      std::move(done));
}

void RunApi::GetRun(const auth::Principal&, const v1::GetRunRequest& request, Done<v1::Run> done) {
  done([&]() -> absl::StatusOr<v1::Run> {
    ASSIGN_OR_RETURN(const ChildName name, ParseRunName("name", request.name()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(store::StoredRun run, store::GetRun(reader, name.project, name.id));
    return std::move(run.message);
  }());
}

void RunApi::ListRuns(const auth::Principal&, const v1::ListRunsRequest& request,
                      Done<v1::ListRunsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListRunsResponse> {
    ASSIGN_OR_RETURN(const std::string project, ParseProjectName("parent", request.parent()));
    if (!v1::RunState_IsValid(request.state())) return BadField("state", "is no run state");
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 100, 1000));
    const std::string scope =
        absl::StrCat("runs|", project, "|", request.state(), "|", request.pipeline());
    ASSIGN_OR_RETURN(const int64_t before, ReadPageNumber(scope, request.page_token(),
                                                          std::numeric_limits<int64_t>::max()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    const store::RunFilter filter{.state = request.state(),
                                  .pipeline = std::string(store::IdOf(request.pipeline()))};
    ASSIGN_OR_RETURN(auto runs, store::ListRuns(reader, project, filter, before, size + 1));
    return PageOf<v1::ListRunsResponse>(std::move(runs), size, scope,
                                        &v1::ListRunsResponse::mutable_runs);
  }());
}

void RunApi::ListTasks(const auth::Principal&, const v1::ListTasksRequest& request,
                       Done<v1::ListTasksResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListTasksResponse> {
    ASSIGN_OR_RETURN(const ChildName name, ParseRunName("parent", request.parent()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    RETURN_IF_ERROR(store::GetRun(reader, name.project, name.id).status());
    v1::ListTasksResponse response;
    if (request.step().empty()) {
      ASSIGN_OR_RETURN(auto tasks, store::ListStepTasks(reader, name.id));
      for (store::StoredTask& task : tasks) *response.add_tasks() = std::move(task.message);
      return response;
    }
    RETURN_IF_ERROR(store::GetTask(reader, name.id, request.step()).status());
    ASSIGN_OR_RETURN(const int64_t size, PageSize(request.page_size(), 1000, 1000));
    const std::string scope = absl::StrCat("tasks|", name.id, "|", request.step());
    ASSIGN_OR_RETURN(const int64_t after, ReadPageNumber(scope, request.page_token(), 0));
    ASSIGN_OR_RETURN(auto tasks,
                     store::ListRepetitions(reader, name.id, request.step(), after, size + 1));
    for (size_t i = 0; i < tasks.size() && i < static_cast<size_t>(size); ++i) {
      *response.add_tasks() = std::move(tasks[i].second.message);
      if (i + 2 != tasks.size() || i + 1 != static_cast<size_t>(size)) continue;
      response.set_next_page_token(MakePageToken(scope, absl::StrCat(tasks[i].first)));
    }
    return response;
  }());
}

void RunApi::ListTrials(const auth::Principal&, const v1::ListTrialsRequest& request,
                        Done<v1::ListTrialsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListTrialsResponse> {
    ASSIGN_OR_RETURN(const ChildName name, ParseRunName("parent", request.parent()));
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(reader, name.project, name.id));
    ASSIGN_OR_RETURN(const v1::Step* step, FindRepeated(run.message.definition(), request.step()));
    return Summarize(reader, name.id, *step);
  }());
}

void RunApi::ListLogs(const auth::Principal&, const v1::ListLogsRequest& request,
                      Done<v1::ListLogsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListLogsResponse> {
    ASSIGN_OR_RETURN(const ChildName name, ParseRunName("name", request.name()));
    const store::EventFilter filter{.kind = v1::Event::kLog, .task = request.step(), .name = ""};
    return ListRunEvents<v1::ListLogsResponse>(context_.store, name, filter, request.page_size(),
                                               request.page_token());
  }());
}

void RunApi::ListMetrics(const auth::Principal&, const v1::ListMetricsRequest& request,
                         Done<v1::ListMetricsResponse> done) {
  done([&]() -> absl::StatusOr<v1::ListMetricsResponse> {
    ASSIGN_OR_RETURN(const ChildName name, ParseRunName("name", request.name()));
    const store::EventFilter filter{
        .kind = v1::Event::kMetric, .task = request.step(), .name = request.metric()};
    return ListRunEvents<v1::ListMetricsResponse>(context_.store, name, filter, request.page_size(),
                                                  request.page_token());
  }());
}

void RunApi::ExplainRun(const auth::Principal&, const v1::ExplainRunRequest& request,
                        Done<v1::ExplainRunResponse> done) {
  const auto name = ParseRunName("name", request.name());
  if (!name.ok()) return done(name.status());
  context_.coordinator.Call<v1::ExplainRunResponse>(
      [name = *name](Transaction& tx) { return server::ExplainRun(tx, name); }, std::move(done));
}

absl::StatusOr<std::shared_ptr<RunWatcher>> RunApi::WatchRun(const auth::Principal&,
                                                             const v1::WatchRunRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseRunName("name", request.name()));
  if (request.after_sequence() < 0) return BadField("after_sequence", "must not be negative");
  {
    ASSIGN_OR_RETURN(const store::Reader reader, context_.store.Read());
    ASSIGN_OR_RETURN(const store::StoredRun run, store::GetRun(reader, name.project, name.id));
    if (request.after_sequence() > run.message.last_sequence()) {
      return absl::OutOfRangeError(
          absl::StrCat("after_sequence is ", request.after_sequence(), ", and the newest event is ",
                       run.message.last_sequence(), ": watch from there, or from 0"));
    }
  }
  auto watcher = std::make_shared<RunWatcher>(context_.store, context_.bus, context_.pool, name.id,
                                              request.after_sequence());
  context_.bus.Subscribe(name.id, watcher);
  return watcher;
}

}  // namespace beamline::server
