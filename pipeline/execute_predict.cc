// Predict steps.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "pipeline/askable.h"
#include "pipeline/csv_writer.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_results.h"
#include "pipeline/execute_rows.h"
#include "pipeline/node_graph.h"
#include "pipeline/program_learner.h"
#include "pipeline/row_predictions.h"
#include "pipeline/schema.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {
namespace {

// Examples that are asked of at once. What a model says of one does not depend on the others.
constexpr int64_t kPiece = 16'384;

// Thrown while the table is written when the task is asked to stop, caught in RunPredict.
struct Stopped {};

// What is known of a registered model only now.
void CheckModel(const v1::PredictStep& predict, const v1::ModelCard& card) {
  const NoPredictions no = WhyNoPredictions(card.has_adversarial(), card.data());
  if (!no.why.empty()) engine::Fail("the model ", no.why, ": ", no.instead);
  if (card.data().has_graph() && !predict.input().empty()) {
    engine::Fail(
        "a model of a graph predicts the nodes of its own split only: put the step, without input, "
        "into the pipeline that trains it");
  }
}

// A predict step under way.
class Predicting {
 public:
  explicit Predicting(Task& task)
      : task_(task),
        predict_(task.step().predict()),
        path_(task.path() + ".predict"),
        model_(task.OpenModel(ModelKey(predict_.model()))),
        inference_(PrepareInference(model_.card)),
        columns_(model_.card) {
    inference_.Use(task.threads(), task.Backend(false));
  }

  void Run(v1::TaskEnd* end) {
    At(path_, [&] {
      CheckModel(predict_, card());
      chosen_ = ChooseRows(task_, card());
      if (chosen_.examples.empty()) {
        engine::Fail("there are no rows to predict (", chosen_.description, ")");
      }
      rows_ = JudgedRows(chosen_.examples, card().data());
      copied_bytes_ = BesideBytes(chosen_.dataset.table, rows_);
    });
    const bool ended = At(path_, [&] {
      return card().learner().has_command() ? AskProgramOfAll(end) : AskLearner(end);
    });
    if (!ended) return;
    const engine::data::Table table = Beside(chosen_.dataset.table, rows_, columns_.Take());
    DescribeMadeTable(table, Write(table, end), end);
    v1::AttemptResult& result = *end->mutable_result();
    result.mutable_result()->set_seconds(static_cast<double>(task_.Millis() - started_ms_) / 1000);
    result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
    task_.Log(absl::StrCat("predicted ", table.rows(), " rows of ", chosen_.description));
  }

 private:
  const v1::ModelCard& card() const { return model_.card; }

  std::unique_ptr<engine::BatchSource> SourceOf(Examples examples) const {
    v1::TrainingData data = card().data();
    if (Translates(data)) data.clear_target();  // Texts that are written are not read.
    return MakeSource(inference_.transforms, chosen_.dataset.table, std::move(examples), data,
                      inference_.layout, {}, {.memory_bytes = task_.FeatureBytes()});
  }

  // Each of these returns false if the task was asked to stop.
  bool AskProgramOfAll(v1::TaskEnd* end) {
    // What it says is held beside the columns that are made of it.
    const int64_t classes = card().classes_size();
    CheckMemory((classes > 2 ? classes : 1) * static_cast<int64_t>(sizeof(float)));
    const std::optional<Said> said =
        AskProgram(task_, ModelKey(predict_.model()), card(), *SourceOf(chosen_.examples), end);
    if (said.has_value()) columns_.Add(*said);
    return said.has_value();
  }

  bool AskLearner(v1::TaskEnd* end) {
    if (card().data().has_graph()) {
      inference_.layout.nodes = BuildGraph(inference_.transforms, chosen_.dataset.table,
                                           std::move(chosen_.arcs), card().data().graph());
    }
    const auto learner = MakeLearner(inference_);
    learner->SetWeights(model_.tensors);
    const int64_t count = chosen_.examples.size();
    ProgressTeller progress(task_, "predicting");
    for (int64_t done = 0; done < count; done += kPiece) {
      if (task_.stop() != StopToken::Request::kNone) {
        EndStopped(task_.stop(), end);
        return false;
      }
      progress.Tell(done, count);
      const auto source = SourceOf(Some(chosen_.examples, done, std::min(kPiece, count - done)));
      columns_.Add(PredictRows(*learner, *source, card(), inference_.transforms));
      CheckMemory(0);
    }
    return true;
  }

  // The predictions of all rows are held until the table is written, `beside` bytes more for each
  // row, and where only some rows of a table were asked of, these rows.
  void CheckMemory(int64_t beside) const {
    const int64_t bytes =
        copied_bytes_ + static_cast<int64_t>(rows_.size()) * (columns_.row_bytes() + beside);
    if (bytes <= task_.FeatureBytes()) return;
    throw TaskFailure(
        v1::FAILURE_KIND_USER,
        absl::StrCat("the predictions", copied_bytes_ > 0 ? " and their rows" : "", " take ",
                     (bytes + (1 << 20) - 1) >> 20, " MiB, of which the step may hold ",
                     task_.FeatureBytes() >> 20, ": give it twice as much memory as they take"),
        task_.path() + ".resources.memory_bytes");
  }

  std::vector<engine::data::ColumnStatistics> Write(const engine::data::Table& table,
                                                    v1::TaskEnd* end) const {
    const std::string path = task_.work_folder() + "/predicted";
    ProgressTeller(task_, "writing").Tell(0, table.rows());
    const auto go_on = [this] {
      if (task_.stop() != StopToken::Request::kNone) throw Stopped();
    };
    auto statistics = WriteTable(task_, table, path + ".table", go_on);
    try {
      WriteCsv(table, path + ".csv", go_on);
    } catch (const engine::Error& error) {
      throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, error.what());
    }
    (*end->mutable_artifact_paths())["table"] = path + ".table";
    (*end->mutable_artifact_paths())["table_csv"] = path + ".csv";
    return statistics;
  }

  Task& task_;
  const v1::PredictStep& predict_;
  const std::string path_;
  const int64_t started_ms_ = task_.Millis();
  const ModelFile model_;
  Inference inference_;
  PredictionColumns columns_;
  ChosenRows chosen_;
  // Of the table, one for each prediction.
  std::vector<int64_t> rows_;
  int64_t copied_bytes_ = 0;
};

}  // namespace

void RunPredict(Task& task, v1::TaskEnd* end) {
  try {
    Predicting(task).Run(end);
  } catch (const Stopped&) {
    *end = {};
    EndStopped(task.stop(), end);
  }
}

}  // namespace beamline::pipeline::execution
