#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/strings.h"
#include "engine/learners/training_plan.h"
#include "pipeline/execute_internal.h"
#include "pipeline/execute_results.h"
#include "pipeline/execute_rows.h"
#include "pipeline/initial_model.h"
#include "pipeline/judge.h"
#include "pipeline/learners/importance.h"
#include "pipeline/memory_limit.h"
#include "pipeline/schema.h"
#include "pipeline/study.h"
#include "pipeline/training.h"
#include "pipeline/trial.h"

namespace beamline::pipeline::execution {
namespace {

constexpr int64_t kProgressMillis = 200;
constexpr double kDefaultCheckpointSeconds = 30;

int64_t Mebibytes(int64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

class TrainRun {
 public:
  explicit TrainRun(Task& task)
      : task_(task), train_(task.step().train()), started_ms_(task.Millis()) {}

  void Run(v1::TaskEnd* end) {
    const engine::data::Dataset dataset = task_.OpenTable(train_.data().input());
    // Before anything is read: what cannot compute here should end here at once.
    backend_ = task_.Backend(train_.network().reproducible() == v1::REPRODUCIBILITY_FAST);
    const std::string path = task_.path() + ".train";
    const v1::NodeGraph& graph = train_.data().graph();
    engine::data::Table arcs;
    if (train_.data().has_graph()) arcs = task_.OpenTable(graph.arcs()).table;
    if (begins()) initial_ = task_.OpenModel(ModelKey(train_.initial_model()));
    const Fold fold{.cross_validation = &task_.step().cross_validation(), .number = trial().fold()};
    training_ = PrepareTraining(dataset, &arcs, train_, task_.definition().seed(), path,
                                task_.RoomForFeatures(), fold, begins() ? &initial_.card : nullptr);
    training_.Use(task_.threads(), backend_);
    const std::string at = absl::StrCat(path, ".", LearnerField(train_));
    At(at, [&] {
      FitMemory();
      learner_ = MakeLearner(training_);
    });
    if (begins()) At(path + ".initial_model", [&] { TakeInitialWeights(); });
    Restore();
    Describe();
    last_checkpoint_ms_ = last_progress_ms_ = task_.Millis();
    const int64_t began_ms = task_.Millis();
    At(at, [&] { Loop(end); });
    loop_ms_ = task_.Millis() - began_ms;
    if (end->result().outcome() == v1::AttemptResult::OUTCOME_UNSPECIFIED) Finish(end);
  }

 private:
  // What a network keeps for its gradients and does not fit is computed again.
  void FitMemory() {
    if (!train_.has_network()) return;
    const engine::BatchSource* validation = training_.validation.get();
    const v1::Resources& resources = task_.attempt().resources();
    const bool cpu = backend_ == "cpu";
    int64_t limit = LimitOf(resources).bytes;
    if (cpu) limit = std::min(limit, MainMemoryOf(resources) - HeldFeatures());
    const engine::Recomputation chosen = engine::ChooseParts(
        training_.spec, training_.layout, training_.training->rows(),
        validation == nullptr ? 0 : validation->rows(), limit, {.updates_at_end = !cpu});
    training_.spec.recomputed_parts = chosen.parts;
    if (chosen.parts > 1) {
      task_.Log(absl::StrCat("activations are computed again, in ", chosen.parts,
                             " parts, to fit the memory of the step"));
    }
    if (chosen.peak_bytes <= limit) return;
    task_.Log(absl::StrCat("the memory of the step does not suffice: training takes ",
                           Mebibytes(chosen.peak_bytes), " MiB at the least, of which there are ",
                           std::max<int64_t>(limit, 0) >> 20, cpu ? " beside the features" : ""));
  }

  // In main memory; of examples that are not rows they are not counted.
  int64_t HeldFeatures() const {
    const auto bytes = [](const engine::BatchSource* source) {
      const auto* const rows = dynamic_cast<const RowSource*>(source);
      return rows == nullptr ? 0 : rows->held_bytes();
    };
    return HeldInMemory(bytes(training_.training.get()), bytes(training_.validation.get()),
                        task_.RoomForFeatures());
  }

  const v1::Trial& trial() const { return task_.attempt().trial(); }
  // Where it stops although it could go on, counted from 1; 0: nowhere.
  int64_t LastEpoch() const { return IsRefit(task_.step(), trial()) ? 0 : trial().epochs(); }
  bool generates() const { return training_.adversarial.has_value(); }
  bool begins() const { return !train_.initial_model().empty(); }
  const std::string& Watched() const { return training_.spec.early_stopping.metric; }
  bool WatchesMetric() const {
    return training_.spec.early_stopping.patience > 0 && Watched() != "loss";
  }

  void TakeInitialWeights() {
    const std::vector<std::string> own = TakeWeights(initial_.tensors, learner_.get());
    task_.Log(absl::StrCat("begins with the weights of ", train_.initial_model(),
                           own.empty() ? "" : ", but for ", absl::StrJoin(own, ", ")));
    initial_.tensors.clear();
  }

  // Goes on where an attempt before this one stopped, or else where the trial did.
  void Restore() {
    if (task_.attempt().has_checkpoint() && Took("checkpoint", &engine::Learner::Load)) return;
    const std::string before = ContinuedTask(task_.step().name(), trial());
    if (before.empty()) return;
    const bool others = trial().after_trial() > 0;
    const bool took =
        Took(before + "/checkpoint", others ? &engine::Learner::Adopt : &engine::Learner::Load);
    if (took || !task_.step().search().has_population()) return;
    throw engine::Error(absl::StrCat("the state of ", before,
                                     " cannot be used, and from the beginning the result would be "
                                     "another: run the pipeline again"));
  }

  // False, and nothing has changed, if it cannot be used: from further back the result is the same,
  // only later.
  bool Took(const std::string& input, void (engine::Learner::*restore)(std::string_view)) {
    const absl::StatusOr<std::string> bytes = ReadFile(task_.InputPath(input), size_t{1} << 36);
    Check(bytes.status());
    try {
      (learner_.get()->*restore)(*bytes);
    } catch (const engine::Error& error) {
      task_.Log(absl::StrCat("the state in ", input, " cannot be used: ", error.what()));
      return false;
    }
    task_.Log(absl::StrCat("goes on from step ", learner_->step(),
                           restore == &engine::Learner::Adopt
                               ? absl::StrCat(" of trial ", trial().after_trial())
                               : ""));
    return true;
  }

  // Where features are; nothing of examples that are not rows.
  std::string FeaturesText() const {
    const auto* const rows = dynamic_cast<const RowSource*>(training_.training.get());
    if (rows == nullptr || rows->held_bytes() == 0) return "";
    return PlaceText(rows->place(), rows->held_bytes()) + "; ";
  }

  void Describe() {
    task_.Log(absl::StrCat("trains on ", training_.training->rows(), " ",
                           ExamplesName(train_.data()),
                           training_.validation == nullptr
                               ? ""
                               : absl::StrCat(", validates on ", training_.validation->rows()),
                           "; ", training_.layout.features + training_.layout.code_columns,
                           " features; ", FeaturesText(), "peak memory ",
                           Mebibytes(learner_->PeakBytes()), " MiB; ", task_.Hardware()));
    Report({});
  }

  void Loop(v1::TaskEnd* end) {
    engine::StepReport report;
    bool first = true;
    while (!learner_->done()) {
      if (Stopped(end)) return;
      if (!learner_->Step(&report)) break;
      if (report.has_loss && !std::isfinite(report.loss)) Diverged(report.step);
      const bool due = task_.Millis() - last_progress_ms_ >= kProgressMillis;
      if (first || due || learner_->done()) Report(report);
      first = false;
      if (report.epoch_end) EndEpoch(report);
      if (report.epoch_end && report.epoch + 1 == LastEpoch()) break;
      if (CheckpointDue(report.step) && !learner_->done()) TakeCheckpoint();
    }
    last_ = report;
    if (report.step > 0 && reported_step_ != report.step) Report(report);  // Stopped early.
  }

  [[noreturn]] void Diverged(int64_t step) {
    const bool other = training_.other.kind != nullptr;
    throw PlacedError(absl::StrCat("the loss is not a number any more at step ", step,
                                   other ? ": scale the features, or lower the learning rate"
                                         : ": lower the learning rate, or set clip_norm"),
                      absl::StrCat(task_.path(), ".train.", LearnerField(train_),
                                   other         ? ""
                                   : generates() ? ".discriminator.optimizer"
                                                 : ".optimizer"));
  }

  bool Stopped(v1::TaskEnd* end) {
    const StopToken::Request request = task_.stop();
    if (request == StopToken::Request::kNone) return false;
    if (request == StopToken::Request::kCheckpointAndStop) TakeCheckpoint();
    EndStopped(request, end);
    return true;
  }

  bool CheckpointDue(int64_t step) const {
    const v1::CheckpointPolicy& policy = train_.checkpoint();
    const double seconds =
        policy.every_seconds() > 0 ? policy.every_seconds() : kDefaultCheckpointSeconds;
    const auto elapsed_ms = static_cast<double>(task_.Millis() - last_checkpoint_ms_);
    return elapsed_ms >= seconds * 1000 ||
           (policy.every_steps() > 0 && step % policy.every_steps() == 0);
  }

  void Save(const std::string& path) const {
    std::string bytes;
    learner_->Save(&bytes);
    Check(WriteFileAtomically(path, bytes));
  }

  void TakeCheckpoint() {
    const std::string path =
        absl::StrCat(task_.work_folder(), "/checkpoint-", learner_->step(), ".bin");
    Save(path);
    task_.EmitCheckpoint(path, learner_->step());
    last_checkpoint_ms_ = task_.Millis();
  }

  void Report(const engine::StepReport& report) {
    const int64_t now_ms = task_.Millis();
    v1::Event event;
    v1::Progress& progress = *event.mutable_progress();
    progress.set_step(learner_->step());
    progress.set_total_steps(learner_->total_steps());
    progress.set_epoch(static_cast<int32_t>(report.epoch));
    progress.set_total_epochs(EpochsOf(train_));
    if (report.has_loss) progress.set_loss(report.loss);
    progress.set_activity("training");
    const int64_t elapsed_ms = now_ms - last_progress_ms_;
    if (report.examples_seen > last_examples_ && last_examples_ >= 0 && elapsed_ms > 0) {
      progress.set_examples_per_second(static_cast<double>(report.examples_seen - last_examples_) *
                                       1000 / static_cast<double>(elapsed_ms));
    }
    last_examples_ = report.examples_seen;
    last_progress_ms_ = now_ms;
    reported_step_ = learner_->step();
    task_.Emit(std::move(event));
  }

  void EmitMetric(const std::string& name, double value, const engine::StepReport& report) {
    if (!std::isfinite(value)) return;
    v1::Event event;
    v1::MetricValue& metric = *event.mutable_metric();
    metric.set_name(name);
    metric.set_value(value);
    metric.set_step(report.step);
    metric.set_epoch(static_cast<int32_t>(report.epoch));
    task_.Emit(std::move(event));
  }

  std::map<std::string, double> ValidationMetrics() {
    if (generates()) return {};
    std::vector<std::string> names(train_.metrics().begin(), train_.metrics().end());
    if (WatchesMetric() && !names.empty()) names.push_back(Watched());
    return JudgeMetrics(*learner_, *training_.validation, training_.validation_truth,
                        training_.card, names);
  }

  void EndEpoch(const engine::StepReport& report) {
    if (report.has_loss) EmitMetric("loss", report.training_loss, report);
    // Penalties of layers and weights are in "loss": what is left without them.
    const bool penalised = report.training_main_loss != report.training_loss;
    if (penalised) EmitMetric("main_loss", report.training_main_loss, report);
    EmitMetric("learning_rate", report.learning_rate, report);
    EmitMetric("generator_loss", report.generator_loss, report);
    if (training_.validation == nullptr) return;
    EmitMetric("validation_loss", report.validation_loss, report);
    if (penalised) EmitMetric("validation_main_loss", report.validation_main_loss, report);
    const std::map<std::string, double> metrics = ValidationMetrics();
    for (const auto& [name, value] : metrics) {
      EmitMetric(absl::StrCat("validation_", name), value, report);
    }
    if (!WatchesMetric()) return;
    const auto found = metrics.find(Watched());
    if (found == metrics.end()) {
      throw PlacedError(absl::StrCat("\"", Watched(),
                                     "\" cannot be computed from the validation "
                                     "rows: do they hold all classes?"),
                        task_.path() + ".train.network.early_stopping.metric");
    }
    learner_->ReportMetric(Watched(), found->second);
  }

  void Finish(v1::TaskEnd* end) {
    v1::AttemptResult& result = *end->mutable_result();
    FillMetrics(*result.mutable_result()->mutable_metrics());
    // What may go on keeps its state, and one of several folds is measured only: no model.
    if (LastEpoch() > 0) {
      const std::string path = task_.work_folder() + "/state.bin";
      Save(path);
      (*end->mutable_artifact_paths())["checkpoint"] = path;
      task_.Log(absl::StrCat("stops after epoch ", LastEpoch(), " and can go on"));
    } else if (trial().fold() == 0) {
      WriteModel(end);
    }
    if (LeavesPredictions(train_)) {
      if (trial().fold() > 0) {
        WriteHeldOut(task_, SaidOf(*learner_, *training_.validation, training_.card),
                     training_.validation_rows, training_.card, end);
      }
      if (IsRefit(task_.step(), trial())) WriteOutOfFold(task_, end);
    }
    if (IsStudied(task_.step(), trial())) {
      Measure(*result.mutable_result()->mutable_metrics(),
              result.mutable_result()->mutable_scaling()->add_points());
    }
    FillLineage(task_, backend_, started_ms_, result.mutable_lineage());
    result.mutable_result()->set_seconds(result.lineage().training_seconds());
    result.set_outcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }

  void FillMetrics(google::protobuf::Map<std::string, double>& metrics) {
    metrics["steps"] = static_cast<double>(learner_->step());
    if (last_.step > 0) {
      metrics["epochs"] = static_cast<double>(last_.epoch + 1);
      if (last_.has_loss) metrics["loss"] = last_.training_loss;
    }
    for (const auto& [name, share] : ImportanceOf(*learner_, training_.card)) {
      metrics[name] = share;
      EmitMetric(name, share, last_);
    }
    if (training_.validation == nullptr) return;
    metrics["validation_loss"] = learner_->Evaluate(*training_.validation).loss;
    for (const auto& [name, value] : ValidationMetrics()) {
      metrics[absl::StrCat("validation_", name)] = value;
    }
    if (trial().number() == 0) return;
    // Trials are compared by it, whether or not the step names it among its metrics.
    const Objective objective = ObjectiveOf(task_.step());
    if (metrics.contains(objective.metric())) return;
    for (const auto& [name, value] :
         JudgeMetrics(*learner_, *training_.validation, training_.validation_truth, training_.card,
                      {objective.name})) {
      metrics[absl::StrCat("validation_", name)] = value;
    }
  }

  // How long the training took, alone: for a scaling study.
  void Measure(const google::protobuf::Map<std::string, double>& metrics,
               v1::ScalingStudy::Point* point) const {
    point->set_seconds(static_cast<double>(std::max<int64_t>(loop_ms_, 1)) / 1000);
    point->set_examples(training_.training->rows());
    point->set_epochs(last_.step > 0 ? static_cast<int32_t>(last_.epoch + 1) : EpochsOf(train_));
    point->set_parameters(parameters_);
    point->set_threads(task_.threads());
    for (const auto& [name, value] : metrics) {
      if (absl::StartsWith(name, "validation_")) (*point->mutable_metrics())[name] = value;
    }
  }

  void WriteModel(v1::TaskEnd* end) {
    ModelFile model;
    model.card = training_.card;
    model.tensors = learner_->Weights();
    for (const engine::NamedTensor& tensor : model.tensors) {
      parameters_ += tensor.tensor.NumElements();
    }
    model.card.set_parameter_count(parameters_);
    const absl::StatusOr<std::string> bytes = EncodeModel(model);
    Check(bytes.status());
    const std::string path = task_.work_folder() + "/model.safetensors";
    Check(WriteFileAtomically(path, *bytes));
    (*end->mutable_artifact_paths())["model"] = path;
    *end->mutable_result()->mutable_card() = std::move(model.card);
    task_.Log(absl::StrCat("trained ", parameters_, " parameters in ", learner_->step(),
                           " steps; model ", Sha256Hex(*bytes)));
  }

  Task& task_;
  const v1::TrainStep& train_;
  const int64_t started_ms_;
  std::string backend_;
  ModelFile initial_;  // train_.initial_model
  Training training_;
  std::unique_ptr<engine::Learner> learner_;  // After what it reads from.
  engine::StepReport last_;
  int64_t last_checkpoint_ms_ = 0;
  int64_t last_progress_ms_ = 0;
  int64_t last_examples_ = -1;
  int64_t reported_step_ = -1;
  int64_t loop_ms_ = 0;
  int64_t parameters_ = 0;  // once the model is written
};

}  // namespace

void RunTrain(Task& task, v1::TaskEnd* end) {
  if (task.step().train().has_command()) return RunProgramTraining(task, end);
  TrainRun(task).Run(end);
}

}  // namespace beamline::pipeline::execution
