// Predict steps.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "pipeline/csv_writer.h"
#include "pipeline/dependencies.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_results.h"
#include "pipeline/execute_rows.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/program_learner.h"
#include "pipeline/row_predictions.h"
#include "pipeline/schema.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {
namespace {

// Examples that are asked of at once. What a model says of one does not depend on the others.
constexpr int64_t kPiece = 16'384;
// Between two events that tell how far it is.
constexpr int64_t kProgressMillis = 200;

// What is known of a registered model only now.
void CheckModel(const v1::PredictStep& predict, const v1::ModelCard& card) {
  if (card.has_adversarial()) {
    engine::Fail("the model generates rows and predicts none: `beamline model predict` draws them");
  }
  if (ReadsTokens(card.data())) {
    engine::Fail("the model gives tokens and no columns: ask it by `beamline model predict`");
  }
  if (LearnsPairs(card.data())) {
    engine::Fail("predictions of pairs of nodes are not built yet: an evaluate step measures them");
  }
  if (card.data().has_graph() && !predict.input().empty()) {
    engine::Fail("a model of a graph predicts the nodes of its own split only: remove input");
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
    });
    const bool ended = At(path_, [&] {
      return card().learner().has_command() ? AskProgramOfAll(end) : AskLearner(end);
    });
    if (!ended) return;
    const engine::data::Table table =
        Beside(chosen_.dataset.table, JudgedRows(chosen_.examples, card().data()), columns_.Take());
    DescribeMadeTable(table, Write(table, end), end);
    v1::AttemptResult& result = *end->mutable_result();
    result.mutable_result()->set_seconds(static_cast<double>(task_.Millis() - started_ms_) / 1000);
    result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
    task_.Log(absl::StrCat("predicted ", table.rows(), " rows of ", chosen_.description));
  }

 private:
  const v1::ModelCard& card() const { return model_.card; }

  std::unique_ptr<engine::BatchSource> SourceOf(Examples examples) const {
    return MakeSource(inference_.transforms, chosen_.dataset.table, std::move(examples),
                      card().data(), inference_.layout, {}, {.memory_bytes = task_.FeatureBytes()});
  }

  // Each of these returns false if the task was asked to stop.
  bool AskProgramOfAll(v1::TaskEnd* end) {
    const std::optional<Said> said =
        AskProgram(task_, ModelKey(predict_.model()), card(), *SourceOf(chosen_.examples), end);
    if (said.has_value()) columns_.Add(ToPredictions(*said, card()));
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
    for (int64_t done = 0; done < count; done += kPiece) {
      if (task_.stop() != StopToken::Request::kNone) {
        end->mutable_result()->set_outcome(task_.stop() == StopToken::Request::kStop
                                               ? v1::AttemptResult::OUTCOME_CANCELLED
                                               : v1::AttemptResult::OUTCOME_RELEASED);
        return false;
      }
      TellProgress(done, count);
      const auto source = SourceOf(Some(chosen_.examples, done, std::min(kPiece, count - done)));
      columns_.Add(PredictRows(*learner, *source, card(), inference_.transforms));
      if (done == 0) CheckMemory(count / source->rows());
    }
    return true;
  }

  // They are held until the table is written. `pieces`: how many more there may be.
  void CheckMemory(int64_t pieces) const {
    const int64_t bytes =
        columns_.rows() * columns_.numbers() * pieces * static_cast<int64_t>(sizeof(float));
    if (bytes <= task_.FeatureBytes()) return;
    throw TaskFailure(
        v1::FAILURE_KIND_USER,
        absl::StrCat("the predictions take ", bytes >> 20, " MiB, of which the step may hold ",
                     task_.FeatureBytes() >> 20, ": give it twice as much memory as they take"),
        task_.path() + ".resources.memory_bytes");
  }

  std::vector<engine::data::ColumnStatistics> Write(const engine::data::Table& table,
                                                    v1::TaskEnd* end) const {
    const std::string path = task_.work_folder() + "/predicted";
    auto statistics = WriteTable(task_, table, path + ".table");
    try {
      WriteCsv(table, path + ".csv");
    } catch (const engine::Error& error) {
      throw TaskFailure(v1::FAILURE_KIND_INFRASTRUCTURE, error.what());
    }
    (*end->mutable_artifact_paths())["table"] = path + ".table";
    (*end->mutable_artifact_paths())["table_csv"] = path + ".csv";
    return statistics;
  }

  void TellProgress(int64_t done, int64_t total) {
    const int64_t now_ms = task_.Millis();
    if (done > 0 && now_ms - last_progress_ms_ < kProgressMillis) return;
    last_progress_ms_ = now_ms;
    v1::Event event;
    event.mutable_progress()->set_step(done);
    event.mutable_progress()->set_total_steps(total);
    event.mutable_progress()->set_activity("predicting");
    task_.Emit(std::move(event));
  }

  Task& task_;
  const v1::PredictStep& predict_;
  const std::string path_;
  const int64_t started_ms_ = task_.Millis();
  const ModelFile model_;
  Inference inference_;
  PredictionColumns columns_;
  ChosenRows chosen_;
  int64_t last_progress_ms_ = 0;
};

}  // namespace

void RunPredict(Task& task, v1::TaskEnd* end) { Predicting(task).Run(end); }

}  // namespace beamline::pipeline::execution
