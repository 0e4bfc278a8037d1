#include "engine/learners/adversarial_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/philox.h"
#include "engine/learners/evaluation_batch.h"
#include "engine/learners/weights.h"
#include "engine/optim/schedule.h"

namespace beamline::engine {
namespace {

// Streams of the seed from here on shuffle; those of variables are hashes of their names.
constexpr uint64_t kShuffleStream = uint64_t{1} << 63;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const AdversarialSpec& RequireSpec(const LearnerConfig& config) {
  if (config.adversarial == nullptr) {
    Fail("the learner \"adversarial\" needs an adversarial definition");
  }
  return *config.adversarial;
}

}  // namespace

AdversarialLearner::AdversarialLearner(const LearnerConfig& config)
    : spec_(RequireSpec(config)),
      layout_(config.layout),
      training_(config.training),
      validation_(config.validation),
      pool_(config.adversarial->threads) {
  if (training_ == nullptr) {
    RunnerFor(AdversarialMode::kSampling, 1);  // creates the variables: the generator's alone
    return;
  }
  RequireLayout(*training_);
  const int64_t rows = training_->rows();
  if (rows < 1) Fail("there are no training rows");
  const int64_t batch = std::min(spec_.batch_size, rows);
  full_ = MakePair(batch);
  if (rows % batch != 0) remainder_ = MakePair(rows % batch);
  steps_per_epoch_ = (rows + batch - 1) / batch;
  order_.resize(static_cast<size_t>(rows));
  if (validation_ == nullptr) return;
  RequireLayout(*validation_);
  if (validation_->rows() < 1) Fail("there are no validation rows: enlarge the split");
  RunnerFor(AdversarialMode::kEvaluation,
            EvaluationBatch(validation_->rows(), kLargestAdversarialBatch));
}

AdversarialLearner::Pair AdversarialLearner::MakePair(int64_t batch) {
  const auto make = [&](AdversarialMode mode) {
    return std::make_unique<AdversarialRunner>(spec_, layout_, batch, mode, LatentSource::kDrawn,
                                               &variables_, &pool_);
  };
  return {make(AdversarialMode::kDiscriminatorStep), make(AdversarialMode::kGeneratorStep)};
}

void AdversarialLearner::RequireLayout(const BatchSource& source) const {
  if (source.layout().features == layout_.features) return;
  Fail("the data has ", source.layout().features, " features, but the networks were made for ",
       layout_.features);
}

double AdversarialLearner::RateOf(const NetworkSpec& network) const {
  const double base =
      ScaledRate(network.schedule, network.optimizer.learning_rate, spec_.batch_size);
  return LearningRate(network.schedule, base, progress_.step, steps_per_epoch_, total_steps());
}

bool AdversarialLearner::done() const {
  return training_ == nullptr || progress_.epoch >= spec_.epochs;
}

bool AdversarialLearner::Step(StepReport* report) {
  if (training_ == nullptr) Fail("this learner was made to generate: it has no training rows");
  if (done()) return false;
  if (!order_drawn_) {
    Philox(spec_.seed, kShuffleStream | static_cast<uint64_t>(progress_.epoch)).Permute(order_);
    order_drawn_ = true;
    training_->Expect(order_, progress_.position);
  }
  const int64_t left = training_->rows() - progress_.position;
  Pair& pair = left >= full_.discriminator->batch() ? full_ : remainder_;
  AdversarialRunner& runner = *pair.discriminator;
  const double rate = RateOf(spec_.discriminator);
  runner.Feed(*training_,
              {order_.data() + progress_.position, static_cast<size_t>(runner.batch())});
  runner.SetUpdate(UpdateNumbers(spec_.discriminator.optimizer, rate, progress_.step));
  runner.Run(2 * static_cast<uint64_t>(progress_.step));
  if ((progress_.step + 1) % spec_.discriminator_steps == 0) StepGenerator(pair.generator.get());
  const double loss = runner.loss();
  if (!std::isfinite(loss) || !std::isfinite(progress_.generator_loss)) {
    Fail("the loss is not a finite number after ", progress_.step,
         " steps: lower the learning rates, clip gradients, or standardise the features");
  }
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
  report->generator_loss = progress_.generator_steps > 0 ? progress_.generator_loss : kNone;
  report->learning_rate = rate;
  if (progress_.position == training_->rows()) EndEpoch(report);
  return true;
}

// The numbers of its run differ from those of every run of the discriminator.
void AdversarialLearner::StepGenerator(AdversarialRunner* runner) {
  runner->SetUpdate(
      UpdateNumbers(spec_.generator.optimizer, RateOf(spec_.generator), progress_.generator_steps));
  runner->Run(2 * static_cast<uint64_t>(progress_.step) + 1);
  progress_.generator_loss = runner->loss();
  ++progress_.generator_steps;
}

void AdversarialLearner::EndEpoch(StepReport* report) {
  report->epoch_end = true;
  const bool weighs = progress_.epoch_weight > 0;
  report->training_loss = weighs ? progress_.epoch_loss / progress_.epoch_weight : 0;
  report->training_main_loss = weighs ? progress_.epoch_main_loss / progress_.epoch_weight : 0;
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
}

bool AdversarialLearner::ReportMetric(std::string_view name, double) {
  Fail("the metric \"", name,
       "\" is not expected: adversarial training does not stop early, because no loss of it tells "
       "when to");
}

AdversarialRunner& AdversarialLearner::RunnerFor(AdversarialMode mode, int64_t batch) {
  std::unique_ptr<AdversarialRunner>& runner = others_[{mode, batch}];
  if (runner == nullptr) {
    runner = std::make_unique<AdversarialRunner>(spec_, layout_, batch, mode, LatentSource::kGiven,
                                                 &variables_, &pool_);
  }
  return *runner;
}

Evaluation AdversarialLearner::Evaluate(const BatchSource& source) {
  if (training_ == nullptr) {
    Fail("a trained generator has no discriminator that could judge it: evaluate during training");
  }
  RequireLayout(source);
  Evaluation evaluation;
  evaluation.rows = source.rows();
  if (source.rows() == 0) return evaluation;
  AdversarialRunner& runner = RunnerFor(AdversarialMode::kEvaluation,
                                        EvaluationBatch(source.rows(), kLargestAdversarialBatch));
  std::vector<int64_t> rows;
  double real = 0;
  double fake = 0;
  for (int64_t first = 0; first < source.rows(); first += runner.batch()) {
    rows.clear();
    const int64_t last = std::min(source.rows(), first + runner.batch());
    for (int64_t row = first; row < last; ++row) rows.push_back(row);
    runner.Feed(source, rows);
    runner.DrawLatent(rows);
    runner.Run(0);
    real += runner.real_loss() * runner.weight_sum();
    fake += runner.fake_loss() * static_cast<double>(rows.size());
    evaluation.weight_sum += runner.weight_sum();
  }
  const double of_real = evaluation.weight_sum > 0 ? real / evaluation.weight_sum : 0;
  evaluation.loss = of_real + fake / static_cast<double>(source.rows());
  evaluation.main_loss = evaluation.loss;
  return evaluation;
}

Predictions AdversarialLearner::Predict(const BatchSource& source, std::span<const int64_t> rows) {
  for (const int64_t row : rows) {
    if (row < 0 || row >= source.rows()) {
      Fail("there is no row ", row, ": the data has ", source.rows(), " rows");
    }
  }
  const auto count = static_cast<int64_t>(rows.size());
  const Shape shape({count, layout_.features});
  Predictions predictions{Tensor(shape, DType::kFloat32), Tensor(shape, DType::kFloat32),
                          Tensor({int64_t{0}}, DType::kFloat32)};
  for (int64_t first = 0; first < count;) {
    const int64_t size = std::min(LargestPowerOfTwo(count - first), kLargestAdversarialBatch);
    AdversarialRunner& runner = RunnerFor(AdversarialMode::kSampling, size);
    runner.DrawLatent(rows.subspan(static_cast<size_t>(first), static_cast<size_t>(size)));
    runner.Run(0);
    for (Tensor* to : {&predictions.outputs, &predictions.probabilities}) {
      std::copy(runner.samples().begin(), runner.samples().end(),
                to->values<float>().begin() + first * layout_.features);
    }
    first += size;
  }
  return predictions;
}

std::vector<std::string> AdversarialLearner::WeightNames() const {
  std::vector<std::string> names;
  for (const auto& [name, variable] : variables_.stale()) {
    if (name.starts_with(kGeneratorPrefix)) names.push_back(name);
  }
  return names;
}

std::vector<NamedTensor> AdversarialLearner::Weights() const {
  std::vector<NamedTensor> weights;
  for (const std::string& name : WeightNames()) {
    weights.push_back({name, variables_.Get(name).Clone()});
  }
  return weights;
}

void AdversarialLearner::SetWeights(const std::vector<NamedTensor>& weights) {
  AssignWeights(WeightNames(), weights, &variables_);
}

int64_t AdversarialLearner::PeakBytes() const {
  int64_t bytes = static_cast<int64_t>(order_.size() * sizeof(int64_t));
  for (const auto& [name, variable] : variables_.stale()) bytes += variable.tensor.size_bytes();
  for (const Pair* pair : {&full_, &remainder_}) {
    if (pair->generator == nullptr) continue;
    bytes += pair->discriminator->working_bytes() + pair->generator->working_bytes();
  }
  for (const auto& [key, runner] : others_) bytes += runner->working_bytes();
  return bytes;
}

std::unique_ptr<Learner> MakeAdversarialLearner(const LearnerConfig& config) {
  return std::make_unique<AdversarialLearner>(config);
}

}  // namespace beamline::engine
