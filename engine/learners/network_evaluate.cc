// Evaluation and prediction with a network.
#include <algorithm>
#include <bit>

#include "engine/learners/evaluation_batch.h"
#include "engine/learners/network_learner.h"

namespace beamline::engine {
namespace {

// While it lives, the averages of the weights stand in their place.
class Averaged {
 public:
  explicit Averaged(WeightAverage* average) : average_(average) { average_->Swap(); }
  ~Averaged() { average_->Swap(); }
  Averaged(const Averaged&) = delete;
  Averaged& operator=(const Averaged&) = delete;

 private:
  WeightAverage* average_;
};

}  // namespace

NetworkRunner& NetworkLearner::RunnerFor(NetworkMode mode, int64_t batch) {
  std::unique_ptr<NetworkRunner>& runner = evaluators_[{mode, batch}];
  if (runner == nullptr) {
    runner = std::make_unique<NetworkRunner>(spec_, layout_, batch, mode, &variables_, &pool_);
  }
  return *runner;
}

Evaluation NetworkLearner::Evaluate(const BatchSource& source) {
  RequireLayout(source);
  const Averaged averaged(&average_);
  Evaluation evaluation;
  evaluation.rows = source.rows();
  NetworkRunner& runner =
      RunnerFor(NetworkMode::kEvaluation, EvaluationBatch(source.rows(), largest_evaluation_));
  std::vector<int64_t> rows;
  double sum = 0;
  double main_sum = 0;
  for (int64_t first = 0; first < source.rows(); first += runner.batch()) {
    rows.clear();
    const int64_t last = std::min(source.rows(), first + runner.batch());
    for (int64_t row = first; row < last; ++row) rows.push_back(row);
    runner.Feed(source, rows);
    runner.Run(0);
    sum += runner.loss() * runner.weight_sum();
    main_sum += runner.main_loss() * runner.weight_sum();
    evaluation.weight_sum += runner.weight_sum();
  }
  evaluation.loss = evaluation.weight_sum > 0 ? sum / evaluation.weight_sum : 0;
  evaluation.main_loss = evaluation.weight_sum > 0 ? main_sum / evaluation.weight_sum : 0;
  return evaluation;
}

Predictions NetworkLearner::Predict(const BatchSource& source, std::span<const int64_t> rows) {
  if (source.layout().features != layout_.features ||
      source.layout().code_columns != layout_.code_columns ||
      source.layout().target_codes != layout_.target_codes ||
      source.layout().has_lengths != layout_.has_lengths ||
      source.layout().steps != layout_.steps) {
    RequireLayout(source);
  }
  for (const int64_t row : rows) {
    if (row < 0 || row >= source.rows()) {
      Fail("there is no row ", row, ": the data has ", source.rows(), " rows");
    }
  }
  const Averaged averaged(&average_);
  const auto count = static_cast<int64_t>(rows.size());
  const int64_t largest =
      std::min(LargestPowerOfTwo(std::max<int64_t>(count, 1)), largest_evaluation_);
  const NetworkRunner& any = RunnerFor(NetworkMode::kPrediction, largest);
  const int64_t outputs = static_cast<int64_t>(any.output().size()) / largest;
  const Shape shape = any.OutputShape(count);
  Predictions predictions{Tensor(shape, DType::kFloat32), Tensor(shape, DType::kFloat32),
                          Tensor({any.row_losses().empty() ? 0 : count}, DType::kFloat32)};
  for (int64_t first = 0; first < count;) {
    // Full batches only: a row that pads costs as much as one that is asked for.
    const int64_t size = std::min(LargestPowerOfTwo(count - first), largest_evaluation_);
    NetworkRunner& runner = RunnerFor(NetworkMode::kPrediction, size);
    runner.Feed(source, rows.subspan(static_cast<size_t>(first), static_cast<size_t>(size)));
    runner.Run(0);
    const auto copy = [&](std::span<const float> from, Tensor* to) {
      std::copy_n(from.begin(), size * outputs, to->values<float>().begin() + first * outputs);
    };
    copy(runner.output(), &predictions.outputs);
    copy(runner.probabilities(), &predictions.probabilities);
    std::copy_n(runner.row_losses().begin(), runner.row_losses().size(),
                predictions.row_losses.values<float>().begin() + first);
    first += size;
  }
  return predictions;
}

}  // namespace beamline::engine
