// Evaluate steps.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/metrics/bootstrap.h"
#include "pipeline/class_histograms.h"
#include "pipeline/dependencies.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_results.h"
#include "pipeline/execute_rows.h"
#include "pipeline/judge.h"
#include "pipeline/metric_names.h"
#include "pipeline/node_graph.h"
#include "pipeline/node_pairs.h"
#include "pipeline/permutation.h"
#include "pipeline/program_learner.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/training.h"

namespace beamline::pipeline::execution {
namespace {

bool Wants(const v1::EvaluateStep& evaluate, const std::string& metric) {
  return evaluate.metrics_size() == 0 ||
         std::count(evaluate.metrics().begin(), evaluate.metrics().end(), metric) > 0;
}

// A column is permuted among rows that stand alone.
void CheckPermutable(const v1::TrainingData& data) {
  if (const std::string_view why = NotPermutable(data); !why.empty()) engine::Fail(why);
}

std::vector<int32_t> AnomaliesOf(const v1::EvaluateStep& evaluate, const ChosenRows& chosen) {
  if (!evaluate.has_anomaly()) return {};
  return ReadAnomalies(chosen.dataset.table, evaluate.anomaly(), chosen.examples.heads);
}

bool HasHistograms(const v1::ModelCard& card) {
  return HasTarget(card.data()) && !card.classes().empty() && !LearnsPairs(card.data()) &&
         !Embeds(card.network().loss());
}

// What is known of a registered model only now.
void CheckModel(const v1::EvaluateStep& evaluate, const v1::ModelCard& card) {
  if (card.has_adversarial()) {
    engine::Fail(
        "the model generates and predicts nothing that could be measured: remove the step");
  }
  if (card.data().has_graph() && !evaluate.input().empty()) {
    engine::Fail("a model of a graph is measured on parts of its own split only: remove input");
  }
  if (evaluate.histograms_size() > 0 && !HasHistograms(card)) {
    engine::Fail("histograms are by classes of rows, but the model predicts none: remove them");
  }
  if (!evaluate.has_anomaly() || Reconstructs(card.data())) return;
  engine::Fail("anomaly is for models that reconstruct, but this one ",
               HasTarget(card.data()) ? "predicts \"" + card.target() + "\"" : "does not",
               ": remove it");
}

// The metric by which columns are compared, of those that were computed.
std::string ImportanceMetric(const v1::EvaluateStep& evaluate, const v1::Evaluation& evaluation) {
  const std::string& named = evaluate.importance().metric();
  if (!named.empty() && evaluation.metrics().contains(named)) return named;
  if (named.empty()) {
    for (const std::string_view metric : kImportanceMetrics) {
      if (evaluation.metrics().contains(std::string(metric))) return std::string(metric);
    }
  }
  if (named.empty()) {
    engine::Fail("none of the step's metrics is one to compare columns by: name one of them");
  }
  engine::Fail("\"", named, "\" is none of the figures of this step: name one of its metrics");
}

// An evaluate step under way.
class Measuring {
 public:
  Measuring(Task& task, v1::TaskEnd* end)
      : task_(task),
        evaluate_(task.step().evaluate()),
        path_(task.path() + ".evaluate"),
        model_(task.OpenModel(ModelKey(evaluate_.model()))),
        inference_(PrepareInference(model_.card)),
        end_(end) {
    inference_.Use(task.threads(), task.Backend(false));
  }

  void Run() {
    Choose();
    if (!Measure() || !AddIntervals() || !AddImportance()) return;
    if (evaluate_.histograms_size() > 0) {
      AddHistograms(
          chosen_.dataset.table,
          {JudgedRows(chosen_.examples, card().data()), truth_.labels, decided_, truth_.weights},
          evaluate_.histograms(), path_ + ".histograms", &evaluation_);
    }
    evaluation_.set_rows_of(chosen_.description);
    v1::Event event;
    *event.mutable_evaluation() = evaluation_;
    task_.Emit(std::move(event));
    v1::TaskResult& result = *end_->mutable_result()->mutable_result();
    *result.mutable_metrics() = evaluation_.metrics();
    *result.mutable_evaluation() = std::move(evaluation_);
    end_->mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }

 private:
  const v1::ModelCard& card() const { return model_.card; }

  void Choose() {
    chosen_ = At(path_, [&] { return ChooseRows(task_, card()); });
    if (chosen_.examples.empty()) {
      throw TaskFailure(v1::FAILURE_KIND_USER,
                        absl::StrCat("there are no rows to measure (", chosen_.description, ")"),
                        path_);
    }
    At(path_, [&] {
      CheckModel(evaluate_, card());
      const v1::TrainingData& data = card().data();
      truth_ = TruthOf(chosen_.dataset.table, inference_.target, data, chosen_.examples);
      anomalies_ = AnomaliesOf(evaluate_, chosen_);
      if (!data.has_graph()) return;
      inference_.layout.nodes = BuildGraph(inference_.transforms, chosen_.dataset.table,
                                           std::move(chosen_.arcs), data.graph());
    });
    if (card().learner().has_command()) return;
    learner_ = At(path_, [&] {
      auto learner = MakeLearner(inference_);
      learner->SetWeights(model_.tensors);
      return learner;
    });
  }

  // The rows to be measured, as `table` has them.
  std::unique_ptr<engine::BatchSource> SourceOf(const engine::data::Table& table) const {
    return MakeSource(inference_.transforms, table, chosen_.examples, card().data(),
                      inference_.layout, truth_, {.memory_bytes = task_.FeatureBytes()});
  }

  // What the user's program says of them. Nothing if it was asked to stop.
  std::optional<Said> AskProgramOf(const engine::BatchSource& source) {
    return AskProgram(task_, ModelKey(evaluate_.model()), card(), source, end_);
  }

  // Each of these returns false if the task was asked to stop.
  bool Measure() {
    return At(path_, [&] {
      const std::vector<std::string> names(evaluate_.metrics().begin(), evaluate_.metrics().end());
      const auto source = SourceOf(chosen_.dataset.table);
      const bool resampled = evaluate_.has_bootstrap();
      double loss = 0;
      Judged judged;
      if (learner_ == nullptr) {
        const auto said = AskProgramOf(*source);
        if (!said.has_value()) return false;
        judged = JudgeSaid(*said, truth_, card(), names, resampled);
        loss = LossOf(*said, truth_);
      } else {
        judged = Judge(*learner_, *source, truth_, anomalies_, card(), names, resampled);
        if (Wants(evaluate_, "loss")) loss = learner_->Evaluate(*source).loss;
      }
      evaluation_ = std::move(judged.evaluation);
      figures_ = std::move(judged.figures);
      units_ = std::move(judged.units);
      decided_ = std::move(judged.decided);
      if (Wants(evaluate_, "loss")) (*evaluation_.mutable_metrics())["loss"] = loss;
      return true;
    });
  }

  bool AddIntervals() {
    if (figures_ == nullptr) return true;
    const v1::Bootstrap& wanted = evaluate_.bootstrap();
    engine::metrics::BootstrapOptions options;
    options.seed = task_.definition().seed();
    if (wanted.resamples() > 0) options.resamples = wanted.resamples();
    if (wanted.confidence() > 0) options.confidence = wanted.confidence();
    options.threads = task_.threads();
    options.go_on = [&] { return task_.stop() == StopToken::Request::kNone; };
    const int64_t started = task_.Millis();
    const auto intervals = At(path_ + ".bootstrap", [&] {
      return engine::metrics::Bootstrap(*figures_, units_, options);
    });
    if (intervals.empty() && !figures_->names().empty()) return Stopped();
    evaluation_.set_confidence(options.confidence);
    for (size_t k = 0; k < intervals.size(); ++k) {
      if (!std::isfinite(intervals[k].low)) continue;
      v1::MetricInterval& out = (*evaluation_.mutable_intervals())[figures_->names()[k]];
      out.set_low(intervals[k].low);
      out.set_high(intervals[k].high);
    }
    task_.Log(absl::StrCat(options.resamples, " resamples of ", figures_->rows(), " rows took ",
                           (task_.Millis() - started) / 1000.0, " s"));
    figures_.reset();
    return true;
  }

  bool AddImportance() {
    if (!evaluate_.has_importance()) return true;
    return At(path_ + ".importance", [&] {
      CheckPermutable(card().data());
      const std::string metric = At(path_ + ".importance.metric",
                                    [&] { return ImportanceMetric(evaluate_, evaluation_); });
      PermutationPlan plan{.rows = chosen_.examples.heads};
      plan.baseline = evaluation_.metrics().at(metric);
      plan.larger_is_better = FindMetricName(metric)->larger_is_better;
      if (evaluate_.importance().repeats() > 0) plan.repeats = evaluate_.importance().repeats();
      plan.seed = task_.definition().seed();
      const std::vector<std::string> columns = ColumnsOf(inference_.transforms);
      ProgressTeller progress(task_, "permuting columns");
      int64_t done = 0;
      const auto total = static_cast<int64_t>(columns.size()) * plan.repeats;
      const auto importance =
          ImportanceOf(chosen_.dataset.table, columns, plan, [&](const engine::data::Table& table) {
            progress.Tell(done++, total);
            return MetricOf(table, metric);
          });
      if (!importance.has_value()) return Stopped();
      evaluation_.mutable_importance()->Add(importance->begin(), importance->end());
      return true;
    });
  }

  // Nothing if the task was asked to stop.
  std::optional<double> MetricOf(const engine::data::Table& table, const std::string& metric) {
    if (task_.stop() != StopToken::Request::kNone) return std::nullopt;
    const auto source = SourceOf(table);
    std::map<std::string, double> values;
    if (learner_ == nullptr) {
      const auto said = AskProgramOf(*source);
      if (!said.has_value()) return std::nullopt;
      values = Metrics(*said, truth_, {metric});
    } else {
      values = JudgeMetrics(*learner_, *source, truth_, card(), {metric}, anomalies_);
    }
    const auto found = values.find(metric);
    return found == values.end() ? NAN : found->second;
  }

  bool Stopped() {
    if (end_->result().outcome() == v1::AttemptResult::OUTCOME_UNSPECIFIED) {
      EndStopped(task_.stop(), end_);
    }
    return false;
  }

  Task& task_;
  const v1::EvaluateStep& evaluate_;
  const std::string path_;
  const ModelFile model_;
  Inference inference_;
  v1::TaskEnd* const end_;
  ChosenRows chosen_;
  Truth truth_;
  std::vector<int32_t> anomalies_;
  // Null: the model is a program.
  std::unique_ptr<engine::Learner> learner_;
  v1::Evaluation evaluation_;
  std::unique_ptr<engine::metrics::CountedFigures> figures_;
  std::vector<int64_t> units_;
  std::vector<int32_t> decided_;
};

}  // namespace

void RunEvaluate(Task& task, v1::TaskEnd* end) { Measuring(task, end).Run(); }

}  // namespace beamline::pipeline::execution
