#include "server/publish.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "beamline/v1/model.pb.h"
#include "pipeline/dependencies.h"
#include "pipeline/resolve.h"
#include "pipeline/trial.h"
#include "server/names.h"
#include "server/repetition.h"
#include "store/datasets.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/time.h"

namespace beamline::server {
namespace {

constexpr size_t kDigestLength = 64;

// Of the bytes of an input as they were uploaded, or of the table that a step has made. Empty: the
// run has no such table.
absl::StatusOr<std::string> DigestOf(const store::View& view, const store::StoredRun& run,
                                     const std::string& table) {
  const auto& inputs = run.message.definition().inputs();
  if (const auto input = inputs.find(table); input != inputs.end()) {
    const std::string_view id = store::IdOf(input->second.dataset());
    const auto dataset = store::GetDataset(view, run.project, id);
    // Of an earlier run it may be gone; its id begins with the digest.
    if (absl::IsNotFound(dataset.status())) return std::string(id.substr(0, kDigestLength));
    RETURN_IF_ERROR(dataset.status());
    return dataset->source().digest();
  }
  const auto made = store::GetTask(view, store::IdOf(run.message.name()), table);
  if (absl::IsNotFound(made.status())) return std::string();
  RETURN_IF_ERROR(made.status());
  const auto& artifacts = made->message.result().artifacts();
  const auto found = artifacts.find("table");
  return found == artifacts.end() ? std::string() : found->second.digest();
}

// What the server knows about the model's origin, over what the worker has said.
absl::Status CompleteLineage(Transaction& transaction, const store::StoredRun& run,
                             std::string_view step, v1::Lineage& lineage) {
  const v1::PipelineDefinition& definition = run.message.definition();
  const v1::Step* trained = pipeline::FindStep(definition, step);
  if (trained == nullptr) {
    return absl::InternalError(absl::StrCat("the definition has no step ", A(step)));
  }
  lineage.set_run(run.message.name());
  lineage.set_step(std::string(step));
  lineage.set_pipeline(run.message.pipeline());
  lineage.set_pipeline_version(run.message.pipeline_version());
  lineage.set_seed(definition.seed());
  *lineage.mutable_parameters() = run.message.parameters();
  ASSIGN_OR_RETURN(
      const v1::Pipeline pipeline,
      store::GetPipeline(transaction.store(), run.project, store::IdOf(run.message.pipeline()),
                         run.message.pipeline_version()));
  lineage.set_pipeline_digest(pipeline.digest());
  lineage.clear_data_digests();
  // Not what is made of the model: whether that is there already is chance.
  for (const std::string& table :
       pipeline::TablesBehind(definition, pipeline::TablesRead(definition, *trained))) {
    ASSIGN_OR_RETURN(const std::string digest, DigestOf(transaction.store(), run, table));
    if (!digest.empty()) (*lineage.mutable_data_digests())[table] = digest;
  }
  return absl::OkStatus();
}

// Which artifacts of a task become a dataset, and what its file is called.
struct MadeDataset {
  const char* source;
  const char* table;
  const char* suffix;
};
constexpr MadeDataset kOutOfFold = {"out_of_fold", "out_of_fold_table", "-out-of-fold.csv"};
constexpr MadeDataset kPredictions = {"table_csv", "table", ".csv"};

// Leaves what a worker can say of a table, its rows and columns.
void KeepShape(v1::Dataset& dataset) {
  v1::Dataset kept;
  kept.set_row_count(dataset.row_count());
  kept.mutable_columns()->Swap(dataset.mutable_columns());
  dataset = std::move(kept);
}

// Makes what the task left a dataset of the project, if it is not there already, and completes
// `dataset`. False if it left none.
absl::StatusOr<bool> KeepDataset(Transaction& transaction, const store::StoredRun& run,
                                 const store::StoredTask& task, const MadeDataset& made,
                                 v1::Dataset& dataset) {
  const auto& artifacts = task.message.result().artifacts();
  const auto source = artifacts.find(made.source);
  const auto table = artifacts.find(made.table);
  if (source == artifacts.end() || table == artifacts.end()) return false;
  const std::string& id = source->second.digest();
  dataset.set_name(DatasetName(run.project, id));
  dataset.set_display_name(
      absl::StrCat(A(store::IdOf(run.message.pipeline())), "-", task.message.step(), made.suffix));
  *dataset.mutable_source() = source->second;
  *dataset.mutable_table() = table->second;
  *dataset.mutable_create_time() = store::ToProto(transaction.now());
  dataset.set_creator(run.message.creator());
  const absl::Status known = store::GetDataset(transaction.store(), run.project, id).status();
  if (known.ok()) return true;
  if (!absl::IsNotFound(known)) return known;
  RETURN_IF_ERROR(store::InsertDataset(transaction.store(), run.project, dataset));
  const std::string owner = absl::StrCat("datasets/", id);
  RETURN_IF_ERROR(
      store::AddBlobReference(transaction.store(), run.project, dataset.source(), owner));
  RETURN_IF_ERROR(
      store::AddBlobReference(transaction.store(), run.project, dataset.table(), owner));
  return true;
}

}  // namespace

absl::Status PublishIfAsked(Transaction& transaction, const store::StoredRun& run,
                            store::StoredTask& task) {
  const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
  if (step == nullptr || !step->has_publish()) return absl::OkStatus();
  const v1::PublishStep& publish = step->publish();
  ASSIGN_OR_RETURN(const store::StoredTask trained,
                   TrainedTask(transaction.store(), task.run, publish.model()));
  const auto& artifacts = trained.message.result().artifacts();
  const auto file = artifacts.find("model");
  ASSIGN_OR_RETURN(
      const store::StoredAttempt attempt,
      store::GetAttempt(transaction.store(), trained.run, trained.id(), trained.message.attempt()));
  if (file == artifacts.end() || !attempt.result.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("step \"", publish.model(), "\" left no model to publish"));
  }
  v1::Model model;
  model.set_description(publish.description());
  *model.mutable_file() = file->second;
  *model.mutable_card() = attempt.result->card();
  *model.mutable_lineage() = attempt.result->lineage();
  // The step may have been taken from an earlier run: that one trained it.
  ASSIGN_OR_RETURN(const store::StoredRun origin, store::GetRun(transaction.store(), trained.run));
  RETURN_IF_ERROR(
      CompleteLineage(transaction, origin, trained.message.step(), *model.mutable_lineage()));
  *model.mutable_lineage()->mutable_trial_values() = trained.message.trial().parameters();
  ASSIGN_OR_RETURN(const auto tasks, store::ListStepTasks(transaction.store(), task.run));
  for (const store::StoredTask& other : tasks) {
    if (other.message.state() == v1::TASK_STATE_SUCCEEDED &&
        other.message.result().has_evaluation()) {
      (*model.mutable_evaluations())[other.message.step()] = other.message.result().evaluation();
    }
  }
  *model.mutable_create_time() = store::ToProto(transaction.now());
  model.set_creator(run.message.creator());
  model.set_stage(v1::MODEL_STAGE_NONE);
  ASSIGN_OR_RETURN(const int64_t version,
                   store::TakeModelVersion(transaction.store(), run.project, publish.name()));
  model.set_name(ModelVersionName(run.project, publish.name(), version));
  RETURN_IF_ERROR(store::InsertModel(transaction.store(), run.project, publish.name(), version,
                                     task.run, task.message.step(), model));
  RETURN_IF_ERROR(
      store::AddBlobReference(transaction.store(), run.project, model.file(),
                              absl::StrCat("models/", publish.name(), "/versions/", version)));
  task.message.mutable_result()->set_model(model.name());
  return absl::OkStatus();
}

absl::Status KeepMadeDatasets(Transaction& transaction, const store::StoredRun& run,
                              store::StoredTask& task) {
  v1::TaskResult& result = *task.message.mutable_result();
  if (result.has_table()) KeepShape(*result.mutable_table());
  if (result.has_out_of_fold()) KeepShape(*result.mutable_out_of_fold());
  const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
  const bool whole = step != nullptr && !IsRepetition(task);
  bool kept = false;
  if (whole && step->has_train() && step->has_cross_validation() && result.has_out_of_fold()) {
    ASSIGN_OR_RETURN(
        kept, KeepDataset(transaction, run, task, kOutOfFold, *result.mutable_out_of_fold()));
  }
  if (!kept) result.clear_out_of_fold();
  if (!whole || !step->has_predict() || !result.has_table()) return absl::OkStatus();
  return KeepDataset(transaction, run, task, kPredictions, *result.mutable_table()).status();
}

absl::StatusOr<v1::Pipeline> StorePipelineVersion(Transaction& transaction,
                                                  std::string_view project,
                                                  const v1::PipelineDefinition& definition,
                                                  std::string_view creator) {
  v1::Pipeline pipeline;
  pipeline.set_name(PipelineName(project, definition.name()));
  pipeline.set_digest(pipeline::DefinitionDigest(definition));
  auto latest = store::GetPipeline(transaction.store(), project, definition.name(), 0);
  if (latest.ok() && latest->digest() == pipeline.digest()) return latest;
  if (!absl::IsNotFound(latest.status())) RETURN_IF_ERROR(latest.status());
  pipeline.set_version(latest.ok() ? latest->version() + 1 : 1);
  *pipeline.mutable_definition() = definition;
  *pipeline.mutable_create_time() = store::ToProto(transaction.now());
  pipeline.set_creator(std::string(creator));
  RETURN_IF_ERROR(store::InsertPipeline(transaction.store(), project, pipeline));
  return pipeline;
}

}  // namespace beamline::server
