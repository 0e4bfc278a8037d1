// Train steps whose learner is a program, and what such models say of rows.
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "pipeline/archive.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_results.h"
#include "pipeline/program_folder.h"
#include "pipeline/program_learner.h"
#include "pipeline/program_run.h"
#include "pipeline/training.h"
#include "pipeline/trial.h"

namespace beamline::pipeline::execution {
namespace {

namespace fs = std::filesystem;

void WriteFacts(const Task& task, const v1::ModelCard& card, const std::string& folder) {
  google::protobuf::Struct facts = ProgramFacts(task);
  AddFacts(card, &facts);
  WriteParameters(card.learner().command().program(), facts, folder);
}

// What the model in model/ says of `source`. Nothing if the task was asked to stop.
std::optional<Said> Predict(ProgramRun& run, const engine::BatchSource& source,
                            const v1::ModelCard& card, v1::TaskEnd* end) {
  WriteExamples(source, card, nullptr, run.folder() + "/rows.csv");
  const std::string path = run.folder() + "/predictions.csv";
  std::error_code ignored;
  fs::remove(path, ignored);
  if (!run.Run({"predict"}, end)) return std::nullopt;
  return ReadPredictions(path, source.rows(), card);
}

class ProgramTraining {
 public:
  explicit ProgramTraining(Task& task)
      : task_(task), train_(task.step().train()), started_ms_(task.Millis()) {}

  void Run(v1::TaskEnd* end) {
    const std::string path = task_.path() + ".train";
    const std::string at = path + ".command.program";
    const engine::data::Dataset dataset = task_.OpenTable(train_.data().input());
    const Fold fold{.cross_validation = &task_.step().cross_validation(),
                    .number = task_.attempt().trial().fold()};
    training_ = PrepareTraining(dataset, nullptr, train_, task_.definition().seed(), path,
                                {.memory_bytes = task_.FeatureBytes() / 2}, fold);
    At(at, [&] {
      ProgramRun run(task_, task_.Programs(), train_.command().program(), at);
      if (Fit(run, end)) Finish(run, end);
    });
  }

 private:
  // False if the task was asked to stop.
  bool Fit(ProgramRun& run, v1::TaskEnd* end) {
    run.Restore();
    WriteFacts(task_, training_.card, run.folder());
    const Truth truth = *training_.training_truth;
    WriteExamples(*training_.training, training_.card, &truth, run.folder() + "/train.csv");
    if (training_.validation != nullptr) {
      WriteExamples(*training_.validation, training_.card, &training_.validation_truth,
                    run.folder() + "/validation.csv");
    }
    task_.Log(absl::StrCat("runs ", train_.command().program().arguments(0), " on ",
                           training_.training->rows(), " rows, ", training_.card.features_size(),
                           " features; ", task_.Hardware()));
    return run.Run({"train"}, end);
  }

  void Finish(ProgramRun& run, v1::TaskEnd* end) {
    v1::AttemptResult& result = *end->mutable_result();
    auto& metrics = *result.mutable_result()->mutable_metrics();
    if (training_.validation != nullptr && !Validate(run, end)) return;
    for (const auto& [name, value] : run.metrics()) metrics.insert({name, value});
    const v1::Trial& trial = task_.attempt().trial();
    if (trial.fold() == 0) WriteModel(run, end);
    if (IsRefit(task_.step(), trial)) WriteOutOfFold(task_, end);
    FillLineage(task_, "program", started_ms_, result.mutable_lineage());
    result.mutable_result()->set_seconds(result.lineage().training_seconds());
    result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }

  // The same figures as of any learner. False if the task was asked to stop.
  bool Validate(ProgramRun& run, v1::TaskEnd* end) {
    // Its model has to do without the answers.
    std::error_code ignored;
    for (const char* name : {"/train.csv", "/validation.csv"}) {
      fs::remove(run.folder() + name, ignored);
    }
    const auto said = Predict(run, *training_.validation, training_.card, end);
    if (!said.has_value()) return false;
    Tell("validation_loss", LossOf(*said, training_.validation_truth), end);
    std::vector<std::string> names(train_.metrics().begin(), train_.metrics().end());
    if (!names.empty() && task_.attempt().trial().number() > 0) {
      names.push_back(ObjectiveOf(task_.step()).name);
    }
    for (const auto& [name, value] : Metrics(*said, training_.validation_truth, names)) {
      Tell("validation_" + name, value, end);
    }
    if (task_.attempt().trial().fold() > 0) {
      WriteHeldOut(task_, *said, training_.validation_rows, training_.card, end);
    }
    return true;
  }

  void Tell(const std::string& name, double value, v1::TaskEnd* end) {
    if (!std::isfinite(value)) return;
    (*end->mutable_result()->mutable_result()->mutable_metrics())[name] = value;
    v1::Event event;
    event.mutable_metric()->set_name(name);
    event.mutable_metric()->set_value(value);
    task_.Emit(std::move(event));
  }

  void WriteModel(const ProgramRun& run, v1::TaskEnd* end) {
    const std::string path = task_.work_folder() + "/model.tar";
    const int64_t files =
        PackFolder(run.folder() + "/model", "model", path, {}, kCardName, CardText(training_.card));
    if (files == 0)
      engine::Fail("the program left no file in model/: with \"train\" it puts its model there");
    (*end->mutable_artifact_paths())["model"] = path;
    *end->mutable_result()->mutable_card() = training_.card;
    task_.Log(absl::StrCat("the model has ", files, files == 1 ? " file" : " files"));
  }

  Task& task_;
  const v1::TrainStep& train_;
  const int64_t started_ms_;
  Training training_;
};

}  // namespace

void RunProgramTraining(Task& task, v1::TaskEnd* end) { ProgramTraining(task).Run(end); }

std::optional<Said> AskProgram(Task& task, const std::string& key, const v1::ModelCard& card,
                               const engine::BatchSource& source, v1::TaskEnd* end) {
  // It may be asked more than once: each time it finds the folder as the first time.
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(task.Programs().folder(), ignored)) {
    fs::remove_all(entry.path(), ignored);
  }
  ProgramRun run(task, task.Programs(), card.learner().command().program(),
                 task.path() + (task.step().has_predict() ? ".predict.model" : ".evaluate.model"));
  UnpackFolder(task.InputPath(key), "model", run.folder() + "/model");
  WriteFacts(task, card, run.folder());
  return Predict(run, source, card, end);
}

}  // namespace beamline::pipeline::execution
