#include "server/step_cache.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "pipeline/dependencies.h"
#include "pipeline/expand.h"
#include "pipeline/programs.h"
#include "pipeline/trial.h"
#include "server/names.h"
#include "server/publish.h"
#include "server/run_progress.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/step_results.h"
#include "store/time.h"

namespace beamline::server {
namespace {

// Not what an effect or time has a part in, nor where it came to run.
bool MayBeTaken(const v1::Step& step) {
  if (step.search().max_seconds() > 0) return false;
  if (step.resources().device() == v1::DEVICE_KIND_ANY && step.resources().gpus() > 0) return false;
  return step.has_train() || step.has_evaluate() || step.has_prepare() || step.has_predict();
}

// Where the keys of a search lead that are short names of the definition's.
std::string ShortNames(const v1::PipelineDefinition& definition, const v1::Step& step) {
  std::string names;
  for (const v1::Parameter& parameter : definition.parameters()) {
    if (!step.search().space().contains(parameter.name())) continue;
    absl::StrAppend(&names, parameter.name(), "\n", parameter.path(), "\n");
  }
  return names;
}

// The step without what never changes its result.
v1::Step Essence(v1::Step step) {
  // What a prepare step draws depends on its name.
  if (!step.has_prepare()) step.clear_name();
  step.clear_after();
  step.clear_retry();
  step.clear_timeout_seconds();
  v1::Resources device;
  device.set_gpus(step.resources().gpus());
  device.set_device(step.resources().device());
  *step.mutable_resources() = device;
  step.mutable_search()->clear_max_parallel();
  if (step.has_train()) step.mutable_train()->clear_checkpoint();
  return step;
}

// The same bytes for equal messages: maps in the order of their keys.
std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

// The task of a step, as far as it is known what it left; NotFound.
using TaskLookup = std::function<absl::StatusOr<store::StoredTask>(const std::string& task)>;

// A run, or what would be one.
struct Making {
  std::string project;
  const v1::PipelineDefinition& definition;
  TaskLookup task;
};

Making MakingOf(const store::View& view, const store::StoredRun& run) {
  return {run.project, run.message.definition(), [&view, &run](const std::string& task) {
            return store::GetTask(view, store::IdOf(run.message.name()), task);
          }};
}

// Digests of all that the step reads, by the names that it uses. nullopt: something is not there.
absl::StatusOr<std::optional<std::string>> Inputs(const store::View& view, const Making& making,
                                                  const pipeline::PlannedTask& plan) {
  std::string inputs;
  const auto add = [&](const std::string& name, const v1::Blob& blob) {
    absl::StrAppend(&inputs, name, "\n", blob.digest(), "\n");
  };
  for (const std::string& table : plan.tables) {
    const auto found = making.definition.inputs().find(table);
    if (found == making.definition.inputs().end()) return std::nullopt;
    ASSIGN_OR_RETURN(const v1::Dataset dataset,
                     store::GetDataset(view, making.project, store::IdOf(found->second.dataset())));
    add(table, dataset.table());
  }
  for (const auto& artifact : plan.artifacts) {
    // What its own trials and folds leave follows from the rest.
    if (artifact.task.substr(0, artifact.task.find('.')) == plan.step) continue;
    ASSIGN_OR_RETURN(const store::StoredTask before, making.task(artifact.task));
    const auto& artifacts = before.message.result().artifacts();
    const auto found = artifacts.find(artifact.artifact);
    if (found == artifacts.end()) return std::nullopt;
    add(artifact.key(), found->second);
  }
  for (const std::string& name : plan.models) {
    ASSIGN_OR_RETURN(const ModelName model, ParseModelName("model", name));
    if (model.project != making.project) return std::nullopt;
    ASSIGN_OR_RETURN(const v1::Model stored,
                     store::GetModel(view, model.project, model.id, model.version));
    add(name, stored.file());
  }
  return inputs;
}

// nullopt: nothing may be taken.
absl::StatusOr<std::optional<std::string>> KeyOf(const store::View& view, const Making& making,
                                                 const std::string& name) {
  const v1::PipelineDefinition& definition = making.definition;
  const v1::Step* step = pipeline::FindStep(definition, name);
  if (step == nullptr || !MayBeTaken(*step)) return std::nullopt;
  // What a program does depends on the worker's machine too.
  if (pipeline::RunsProgram(definition, *step)) return std::nullopt;
  const pipeline::PlannedTask plan = pipeline::PlanTask(definition, *step, v1::Trial());
  auto inputs = Inputs(view, making, plan);
  // It says so itself when it starts.
  if (absl::IsNotFound(inputs.status())) return std::nullopt;
  RETURN_IF_ERROR(inputs.status());
  if (!inputs->has_value()) return std::nullopt;
  return Sha256Hex(absl::StrCat(kCodeDigest, "\n", definition.seed(), "\n", **inputs, "\n",
                                ShortNames(definition, *step), "\n", Bytes(Essence(*step))));
}

// The task whose result is kept under the key; nullopt: there is none, or it is gone.
absl::StatusOr<std::optional<store::StoredTask>> KeptUnder(const store::View& view,
                                                           const std::string& project,
                                                           const std::string& key) {
  const auto found = store::FindStepResult(view, project, key);
  if (absl::IsNotFound(found.status())) return std::nullopt;
  RETURN_IF_ERROR(found.status());
  auto task = store::GetTask(view, found->run, found->task);
  if (absl::IsNotFound(task.status())) return std::nullopt;
  return task;
}

// The task that has the result of the step; nullopt: there is none.
absl::StatusOr<std::optional<store::StoredTask>> FindEarlier(const store::View& view,
                                                             const Making& making,
                                                             const std::string& step) {
  ASSIGN_OR_RETURN(const auto key, KeyOf(view, making, step));
  if (!key.has_value()) return std::nullopt;
  return KeptUnder(view, making.project, *key);
}

}  // namespace

absl::StatusOr<bool> TakeEarlierResult(Transaction& transaction, const store::StoredRun& run,
                                       store::StoredTask& task) {
  if (run.message.fresh()) return false;
  ASSIGN_OR_RETURN(
      const auto earlier,
      FindEarlier(transaction.store(), MakingOf(transaction.store(), run), task.message.step()));
  if (!earlier.has_value()) return false;
  v1::TaskResult& result = *task.message.mutable_result();
  result = earlier->message.result();
  result.set_taken_from(earlier->message.name());
  if (earlier->message.has_trial()) *task.message.mutable_trial() = earlier->message.trial();
  const std::string owner = absl::StrCat("runs/", task.run);
  for (const auto& [name, blob] : result.artifacts()) {
    RETURN_IF_ERROR(store::AddBlobReference(transaction.store(), run.project, blob, owner));
  }
  RETURN_IF_ERROR(KeepMadeDatasets(transaction, run, task));
  task.message.set_state(v1::TASK_STATE_SUCCEEDED);
  *task.message.mutable_start_time() = store::ToProto(transaction.now());
  *task.message.mutable_end_time() = store::ToProto(transaction.now());
  RETURN_IF_ERROR(store::UpdateTask(transaction.store(), task));
  RETURN_IF_ERROR(transaction.Append(
      task.run, TaskEvent(task, 0, absl::StrCat("taken from ", earlier->message.name()))));
  return true;
}

absl::StatusOr<std::map<std::string, std::string>> FindEarlierResults(
    const store::View& view, const std::string& project, const v1::PipelineDefinition& definition) {
  std::map<std::string, store::StoredTask> earlier;
  const Making making{project, definition,
                      [&](const std::string& task) -> absl::StatusOr<store::StoredTask> {
                        const auto found = earlier.find(task);
                        if (found != earlier.end()) return found->second;
                        return absl::NotFoundError(absl::StrCat("step ", task, " would be done"));
                      }};
  std::map<std::string, std::string> names;
  for (const int i : pipeline::TopologicalOrder(definition)) {
    const std::string& step = definition.steps(i).name();
    ASSIGN_OR_RETURN(auto found, FindEarlier(view, making, step));
    if (!found.has_value()) continue;
    names[step] = found->message.name();
    earlier.emplace(step, *std::move(found));
  }
  return names;
}

absl::Status KeepResult(Transaction& transaction, const store::StoredRun& run,
                        const store::StoredTask& task) {
  if (!task.message.result().taken_from().empty()) return absl::OkStatus();
  const Making making = MakingOf(transaction.store(), run);
  ASSIGN_OR_RETURN(const auto key, KeyOf(transaction.store(), making, task.message.step()));
  if (!key.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto earlier, KeptUnder(transaction.store(), run.project, *key));
  return store::KeepStepResult(transaction.store(), run.project, *key,
                               {.run = task.run, .task = task.id()},
                               run.message.fresh() || !earlier.has_value());
}

}  // namespace beamline::server
