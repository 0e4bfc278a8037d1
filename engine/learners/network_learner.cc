#include "engine/learners/network_learner.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/core/philox.h"
#include "engine/learners/checkpoint.h"
#include "engine/learners/evaluation_batch.h"
#include "engine/learners/weights.h"
#include "engine/optim/optimizer.h"
#include "engine/optim/schedule.h"

namespace beamline::engine {
namespace {

// Streams of the seed from here on shuffle; those of variables are hashes of their names.
constexpr uint64_t kShuffleStream = uint64_t{1} << 63;

const NetworkSpec& RequireSpec(const LearnerConfig& config) {
  if (config.network == nullptr) Fail("the learner \"network\" needs a network definition");
  return *config.network;
}

bool SameLayout(const BatchLayout& a, const BatchLayout& b) {
  return a.features == b.features && a.code_columns == b.code_columns && a.targets == b.targets &&
         a.classes == b.classes && a.has_lengths == b.has_lengths && a.steps == b.steps &&
         a.target_steps == b.target_steps && a.target_codes == b.target_codes;
}

void CopyElements(const Tensor& from, Tensor* to) {
  std::memcpy(to->raw(), from.raw(), static_cast<size_t>(from.size_bytes()));
}

}  // namespace

NetworkLearner::NetworkLearner(const LearnerConfig& config)
    : spec_(RequireSpec(config)),
      layout_(config.layout),
      largest_evaluation_(LargestEvaluationBatch(spec_, layout_)),
      training_(config.training),
      validation_(config.validation),
      pool_(config.network->threads) {
  if (validation_ != nullptr) {
    RequireLayout(*validation_);
    if (validation_->rows() < 1) Fail("there are no validation rows: enlarge the split");
  }
  if (training_ == nullptr) {
    RunnerFor(NetworkMode::kPrediction, 1);  // creates the variables
    return;
  }
  RequireLayout(*training_);
  const int64_t rows = training_->rows();
  if (rows < 1) Fail("there are no training rows");
  if (Watches() && Watches("loss") && validation_ == nullptr) {
    const bool stops = spec_.early_stopping.patience > 0;
    Fail(stops ? "early_stopping" : "the plateau schedule",
         " watches the validation loss but there are no validation rows: add a validation split "
         "or remove ",
         stops ? "early_stopping" : "the schedule");
  }
  const int64_t batch = std::min(spec_.batch_size, rows);
  const auto make = [&](int64_t size) {
    return std::make_unique<NetworkRunner>(spec_, layout_, size, NetworkMode::kTraining,
                                           &variables_, &pool_);
  };
  full_ = make(batch);
  if (rows % batch != 0) remainder_ = make(rows % batch);
  average_ = WeightAverage(spec_.averaging, &variables_, WeightNames());
  steps_per_epoch_ = (rows + batch - 1) / batch;
  order_.resize(static_cast<size_t>(rows));
  if (validation_ != nullptr) {
    RunnerFor(NetworkMode::kEvaluation, EvaluationBatch(validation_->rows(), largest_evaluation_));
  }
}

void NetworkLearner::RequireLayout(const BatchSource& source) const {
  if (SameLayout(source.layout(), layout_)) return;
  if (source.layout().has_lengths != layout_.has_lengths) {
    Fail("the network was made for rows with", layout_.has_lengths ? "" : "out",
         " lengths of their own: give it such rows");
  }
  if (source.layout().steps != layout_.steps) {
    Fail("the data has sequences of ", source.layout().steps, " steps, but the network was made ",
         "for ", layout_.steps);
  }
  if (source.layout().target_steps != layout_.target_steps) {
    Fail("the data has targets of ", source.layout().target_steps, " steps, but the network was ",
         "made for ", layout_.target_steps);
  }
  if (source.layout().target_codes != layout_.target_codes) {
    Fail("the data has targets of ", source.layout().target_codes, " codes, but the network was ",
         "made for ", layout_.target_codes);
  }
  Fail("the data has ", source.layout().features, " features, ", source.layout().code_columns,
       " code columns, ", source.layout().targets, " targets and ", source.layout().classes,
       " classes, but the network was made for ", layout_.features, ", ", layout_.code_columns,
       ", ", layout_.targets, " and ", layout_.classes);
}

bool NetworkLearner::Watches(std::string_view metric) const {
  return spec_.early_stopping.metric == metric;
}

bool NetworkLearner::Watches() const {
  return spec_.early_stopping.patience > 0 || spec_.schedule.kind == ScheduleKind::kPlateau;
}

double NetworkLearner::RateNow() const {
  const double base = ScaledRate(spec_.schedule, spec_.optimizer.learning_rate, spec_.batch_size);
  return progress_.plateau_scale *
         LearningRate(spec_.schedule, base, progress_.step, steps_per_epoch_, total_steps());
}

bool NetworkLearner::done() const {
  if (progress_.awaiting_metric) return false;
  return training_ == nullptr || progress_.stopped || progress_.epoch >= spec_.epochs;
}

void NetworkLearner::DrawOrder() {
  Philox(spec_.seed, kShuffleStream | static_cast<uint64_t>(progress_.epoch)).Permute(order_);
  order_drawn_ = true;
  training_->Expect(order_, progress_.position);
}

NetworkLearner::Batch NetworkLearner::BatchAt(int64_t position) {
  NetworkRunner* runner =
      training_->rows() - position >= full_->batch() ? full_.get() : remainder_.get();
  return {runner, {order_.data() + position, static_cast<size_t>(runner->batch())}};
}

// Gathers the epoch's next batch while a device computes this one.
void NetworkLearner::FeedAhead(int64_t position) {
  fed_position_ = -1;
  if (!full_->on_device() || position >= training_->rows()) return;
  try {
    const Batch next = BatchAt(position);
    next.runner->Feed(*training_, next.rows, static_cast<uint64_t>(progress_.step) + 1);
    fed_position_ = position;
  } catch (const Error&) {
    // The next step meets it again, when it is its turn.
  }
}

bool NetworkLearner::Step(StepReport* report) {
  if (training_ == nullptr) Fail("this learner was made for prediction: it has no training rows");
  if (progress_.awaiting_metric) {
    Fail("early_stopping watches \"", spec_.early_stopping.metric,
         "\": report its value before the next step");
  }
  if (done()) return false;
  if (!order_drawn_) DrawOrder();
  const Batch batch = BatchAt(progress_.position);
  NetworkRunner& runner = *batch.runner;
  const double rate = RateNow();
  const auto step = static_cast<uint64_t>(progress_.step);
  if (fed_position_ != progress_.position) runner.Feed(*training_, batch.rows, step);
  runner.SetUpdate(UpdateNumbers(spec_.optimizer, rate, progress_.step));
  runner.Start(step);
  FeedAhead(progress_.position + runner.batch());
  runner.Finish();
  const double loss = runner.loss();
  if (!std::isfinite(loss)) {
    Fail("the loss is not a finite number after ", progress_.step,
         " steps: lower the learning rate, clip gradients, or standardise the features");
  }
  average_.AfterStep(&pool_);
  progress_.position += runner.batch();
  progress_.examples_seen += runner.batch();
  progress_.epoch_loss += loss * runner.weight_sum();
  progress_.epoch_main_loss += runner.main_loss() * runner.weight_sum();
  progress_.epoch_weight += runner.weight_sum();
  ++progress_.step;
  *report = StepReport();
  report->step = progress_.step;
  report->epoch = progress_.epoch;
  report->examples_seen = progress_.examples_seen;
  report->loss = loss;
  report->main_loss = runner.main_loss();
  report->learning_rate = rate;
  if (progress_.position == training_->rows()) EndEpoch(report);
  return true;
}

void NetworkLearner::EndEpoch(StepReport* report) {
  report->epoch_end = true;
  average_.AfterEpoch(progress_.epoch, &pool_);
  report->training_loss =
      progress_.epoch_weight > 0 ? progress_.epoch_loss / progress_.epoch_weight : 0;
  report->training_main_loss =
      progress_.epoch_weight > 0 ? progress_.epoch_main_loss / progress_.epoch_weight : 0;
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const Evaluation validation =
      validation_ != nullptr ? Evaluate(*validation_) : Evaluation{kNone, kNone, 0, 0};
  report->validation_loss = validation.loss;
  report->validation_main_loss = validation.main_loss;
  ++progress_.epoch;
  progress_.position = 0;
  progress_.epoch_loss = 0;
  progress_.epoch_main_loss = 0;
  progress_.epoch_weight = 0;
  order_drawn_ = false;
  if (!Watches()) return;
  if (Watches("loss")) {
    report->improved = Judge(report->validation_loss);
  } else {
    progress_.awaiting_metric = true;
  }
}

bool NetworkLearner::ReportMetric(std::string_view name, double value) {
  if (!progress_.awaiting_metric || !Watches(name)) {
    Fail("the metric \"", name, "\" is not expected now: early_stopping watches \"",
         spec_.early_stopping.metric, "\", once after each epoch");
  }
  progress_.awaiting_metric = false;
  return Judge(value);
}

// Takes the watched metric's value of the epoch that ended. A NaN is never an improvement.
bool NetworkLearner::Judge(double value) {
  if (spec_.schedule.kind == ScheduleKind::kPlateau) JudgePlateau(value);
  const EarlyStoppingSpec& rule = spec_.early_stopping;
  if (rule.patience == 0) return false;
  const double gain = rule.larger_is_better ? value - progress_.best : progress_.best - value;
  const bool improved = !std::isnan(value) && (!progress_.has_best || gain > rule.min_delta);
  if (improved) {
    progress_.has_best = true;
    progress_.best = value;
    progress_.epochs_without_improvement = 0;
    for (const std::string& name : WeightNames()) {
      if (!rule.restore_best) break;
      best_[name] = Current(name).Clone();
    }
  } else if (++progress_.epochs_without_improvement >= rule.patience) {
    progress_.stopped = true;
  }
  if (done()) Finish();
  return improved;
}

void NetworkLearner::JudgePlateau(double value) {
  const EarlyStoppingSpec& rule = spec_.early_stopping;
  const double gain =
      rule.larger_is_better ? value - progress_.plateau_best : progress_.plateau_best - value;
  if (!std::isnan(value) && (!progress_.plateau_has_best || gain > rule.min_delta)) {
    progress_.plateau_has_best = true;
    progress_.plateau_best = value;
    progress_.plateau_epochs = 0;
  } else if (++progress_.plateau_epochs >= spec_.schedule.plateau_patience) {
    progress_.plateau_scale = PlateauScale(spec_.schedule, progress_.plateau_scale);
    progress_.plateau_epochs = 0;
  }
}

void NetworkLearner::Finish() {
  if (progress_.restored || best_.empty()) return;
  for (const auto& [name, tensor] : best_) CopyElements(tensor, &variables_.Get(name));
  average_.Reset();
  progress_.restored = true;
}

std::vector<std::string> NetworkLearner::WeightNames() const {
  std::vector<std::string> names;
  for (const auto& [name, variable] : variables_.stale()) {
    if (!name.starts_with("optimizer/")) names.push_back(name);
  }
  return names;
}

std::vector<NamedTensor> NetworkLearner::Weights() const {
  std::vector<NamedTensor> weights;
  for (const std::string& name : WeightNames()) {
    weights.push_back({name, Current(name).Clone()});
  }
  return weights;
}

const Tensor& NetworkLearner::Current(const std::string& name) const {
  const auto found = average_.averages().find(name);
  return average_.active() && found != average_.averages().end() ? found->second
                                                                 : variables_.Get(name);
}

void NetworkLearner::SetWeights(const std::vector<NamedTensor>& weights) {
  AssignWeights(WeightNames(), weights, &variables_);
  average_.Reset();
}

int64_t NetworkLearner::PeakBytes() const {
  int64_t bytes = average_.size_bytes();
  for (const auto& [name, variable] : variables_.stale()) {
    const bool kept_twice = spec_.early_stopping.patience > 0 &&
                            spec_.early_stopping.restore_best && !name.starts_with("optimizer/");
    bytes += variable.tensor.size_bytes() * (kept_twice ? 2 : 1);
  }
  if (full_ != nullptr) bytes += full_->working_bytes();
  if (remainder_ != nullptr) bytes += remainder_->working_bytes();
  for (const auto& [key, runner] : evaluators_) bytes += runner->working_bytes();
  return bytes + static_cast<int64_t>(order_.size() * sizeof(int64_t));
}

std::unique_ptr<Learner> MakeNetworkLearner(const LearnerConfig& config) {
  return std::make_unique<NetworkLearner>(config);
}

}  // namespace beamline::engine
