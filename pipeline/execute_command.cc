// Command steps.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "pipeline/archive.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_made_tables.h"
#include "pipeline/execute_results.h"
#include "pipeline/program_folder.h"
#include "pipeline/program_learner.h"
#include "pipeline/program_run.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {

google::protobuf::Struct ProgramFacts(const Task& task) {
  // What NumPy takes as a seed.
  constexpr uint64_t kSeeds = uint64_t{1} << 32;
  google::protobuf::Struct facts;
  auto& fields = *facts.mutable_fields();
  fields["seed"].set_number_value(static_cast<double>(task.definition().seed() % kSeeds));
  fields["threads"].set_number_value(task.threads());
  fields["memory_bytes"].set_number_value(
      static_cast<double>(task.attempt().resources().memory_bytes()));
  fields["attempt"].set_number_value(task.attempt().number());
  return facts;
}

void RunCommand(Task& task, v1::TaskEnd* end) {
  const int64_t started_ms = task.Millis();
  const v1::CommandStep& command = task.step().command();
  const std::string path = task.path() + ".command.program";
  At(path, [&] {
    ProgramRun run(task, task.Programs(), command.program(), path);
    run.Restore();
    for (const std::string& input : command.inputs()) {
      WriteInput(task.OpenTable(input).table, absl::StrCat(run.folder(), "/inputs/", input));
    }
    for (const std::string& model : command.models()) {
      std::error_code error;
      std::filesystem::copy_file(task.InputPath(ModelKey(model)),
                                 absl::StrCat(run.folder(), "/inputs/", model, ".safetensors"),
                                 error);
      if (error) throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, error.message());
    }
    WriteParameters(command.program(), ProgramFacts(task), run.folder());
    task.Log(absl::StrCat("runs ", command.program().arguments(0), "; ", task.Hardware()));
    if (!run.Run({}, end)) return;
    if (!command.table().empty()) {
      At(task.path() + ".command.table", [&] { TakeTable(task, run.folder(), end); });
    }
    v1::ModelCard& card = *end->mutable_result()->mutable_card();
    card.set_format(1);
    card.set_seed(task.definition().seed());
    *card.mutable_learner()->mutable_command()->mutable_program() = command.program();
    const std::string archive = task.work_folder() + "/model.tar";
    if (PackFolder(run.folder() + "/model", "model", archive, {}, kCardName, CardText(card)) > 0) {
      (*end->mutable_artifact_paths())["model"] = archive;
    }
    FillLineage(task, "program", started_ms, end->mutable_result()->mutable_lineage());
    v1::TaskResult& result = *end->mutable_result()->mutable_result();
    result.mutable_metrics()->insert(run.metrics().begin(), run.metrics().end());
    result.set_seconds(static_cast<double>(task.Millis() - started_ms) / 1000);
    end->mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  });
}

}  // namespace beamline::pipeline::execution
