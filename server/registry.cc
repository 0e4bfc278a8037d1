#include "server/registry.h"

#include <limits>
#include <set>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/dependencies.h"
#include "pipeline/trial.h"
#include "server/requirements.h"
#include "server/run_progress.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/runs.h"

namespace beamline::server {
namespace {

constexpr int64_t kAll = std::numeric_limits<int64_t>::max();

// Models of before there were stages have none.
v1::Model WithStage(v1::Model model) {
  if (model.stage() == v1::MODEL_STAGE_UNSPECIFIED) model.set_stage(v1::MODEL_STAGE_NONE);
  return model;
}

absl::StatusOr<std::vector<v1::Model>> VersionsOf(const store::View& view, const ModelName& name) {
  ASSIGN_OR_RETURN(auto listed, store::ListModels(view, name.project, name.id, kAll, kAll));
  std::vector<v1::Model> versions;
  for (auto& [serial, model] : listed) versions.push_back(WithStage(std::move(model)));
  return versions;
}

// The step and all that it needs, transitively.
v1::PipelineDefinition Only(const v1::PipelineDefinition& definition, const std::string& step) {
  std::set<std::string> needed = {step};
  std::vector<std::string> open = {step};
  while (!open.empty()) {
    const v1::Step* const next = pipeline::FindStep(definition, open.back());
    open.pop_back();
    if (next == nullptr) continue;
    for (const std::string& name : pipeline::DependenciesOf(definition, *next)) {
      if (needed.insert(name).second) open.push_back(name);
    }
  }
  v1::PipelineDefinition only = definition;
  only.clear_steps();
  for (const v1::Step& other : definition.steps()) {
    if (needed.contains(other.name())) *only.add_steps() = other;
  }
  std::set<std::string> read;
  for (const v1::Step& other : only.steps()) {
    const std::vector<std::string> tables = pipeline::TablesRead(definition, other);
    read.insert(tables.begin(), tables.end());
  }
  for (const auto& [name, input] : definition.inputs()) {
    if (!read.contains(name)) only.mutable_inputs()->erase(name);
  }
  // They may point into steps that are gone; their values are in the definition already.
  only.clear_parameters();
  return only;
}

absl::Status CheckData(const store::View& view, std::string_view project,
                       const v1::PipelineDefinition& definition) {
  for (const auto& [name, input] : definition.inputs()) {
    const auto found = store::GetDataset(view, project, store::IdOf(input.dataset()));
    if (absl::IsNotFound(found.status())) {
      return absl::FailedPreconditionError(
          absl::StrCat("input \"", name, "\" was deleted: upload the file with the digest ",
                       A(store::IdOf(input.dataset())), " again"));
    }
    RETURN_IF_ERROR(found.status());
  }
  for (const v1::Step& step : definition.steps()) {
    const std::string& model = step.train().initial_model();
    if (!pipeline::IsRegisteredModel(model)) continue;
    ASSIGN_OR_RETURN(const ModelName name, ParseModelName("initial_model", model));
    const auto found = LookUpModel(view, name);
    if (absl::IsNotFound(found.status())) {
      return absl::FailedPreconditionError(
          absl::StrCat("it was trained from ", model, ", which was deleted"));
    }
    RETURN_IF_ERROR(found.status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::Model> LookUpModel(const store::View& view, const ModelName& name) {
  if (name.stage == v1::MODEL_STAGE_UNSPECIFIED) {
    ASSIGN_OR_RETURN(v1::Model model, store::GetModel(view, name.project, name.id, name.version));
    return WithStage(std::move(model));
  }
  ASSIGN_OR_RETURN(const std::vector<v1::Model> versions, VersionsOf(view, name));
  for (const v1::Model& model : versions) {
    if (model.stage() == name.stage) return model;
  }
  return absl::NotFoundError(
      absl::StrCat("no version of model ", name.id, " is in that stage: see \"model stage\""));
}

absl::StatusOr<v1::Model> SetStage(Transaction& transaction, const ModelName& name,
                                   v1::ModelStage stage) {
  ASSIGN_OR_RETURN(v1::Model model, LookUpModel(transaction.store(), name));
  const auto keep = [&](v1::Model& changed, v1::ModelStage to) -> absl::Status {
    changed.set_stage(to);
    ASSIGN_OR_RETURN(const ModelName version, ParseModelName("name", changed.name()));
    return store::UpdateModel(transaction.store(), version.project, version.id, version.version,
                              changed);
  };
  if (stage == v1::MODEL_STAGE_PRODUCTION) {
    ASSIGN_OR_RETURN(std::vector<v1::Model> versions, VersionsOf(transaction.store(), name));
    for (v1::Model& other : versions) {
      if (other.stage() != stage || other.name() == model.name()) continue;
      RETURN_IF_ERROR(keep(other, v1::MODEL_STAGE_ARCHIVED));
    }
  }
  RETURN_IF_ERROR(keep(model, stage));
  return model;
}

absl::StatusOr<v1::ReproduceModelResponse> Reproduce(Transaction& transaction,
                                                     const ModelName& name,
                                                     const std::string& run_name,
                                                     const auth::Principal& caller,
                                                     const Limits& limits) {
  ASSIGN_OR_RETURN(const v1::Model model, LookUpModel(transaction.store(), name));
  const v1::Lineage& lineage = model.lineage();
  const auto origin = store::GetRun(transaction.store(), name.project, store::IdOf(lineage.run()));
  if (absl::IsNotFound(origin.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat("the run that trained the model, ", lineage.run(), ", is no longer there"));
  }
  RETURN_IF_ERROR(origin.status());
  const v1::Run& old = origin->message;
  v1::Run run;
  run.set_name(run_name);
  run.set_pipeline(old.pipeline());
  run.set_pipeline_version(old.pipeline_version());
  *run.mutable_definition() = Only(old.definition(), lineage.step());
  *run.mutable_parameters() = old.parameters();
  run.set_fresh(true);
  run.set_creator(caller.name);
  RETURN_IF_ERROR(CheckData(transaction.store(), name.project, run.definition()));
  RETURN_IF_ERROR(CheckAcceptable(transaction, name.project, run, limits));
  RETURN_IF_ERROR(StartRun(transaction, name.project, run));
  v1::ReproduceModelResponse response;
  response.set_run(run.name());
  response.set_step(lineage.step());
  response.set_digest(model.file().digest());
  return response;
}

}  // namespace beamline::server
