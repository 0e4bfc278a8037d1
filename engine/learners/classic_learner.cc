#include "engine/learners/classic_learner.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
// Rows of which something is said at once, and that one thread judges at once.
constexpr int64_t kLeastBlock = 256, kMostBlock = 1024, kBlockNumbers = int64_t{1} << 18;
constexpr int64_t kTile = 64;

void Require(bool holds, const std::string& name, const char* what) {
  if (!holds) Fail("the learner \"", name, "\" ", what);
}

}  // namespace

ClassicLearner::ClassicLearner(Definition definition, const LearnerData& data)
    : definition_(std::move(definition)), data_(data), pool_(definition_.threads) {
  const BatchLayout& layout = data_.layout;
  const std::string& name = definition_.name;
  Require(layout.nodes == nullptr, name, "takes rows of numbers, not nodes of a graph");
  if (definition_.takes_codes) {
    Require(layout.code_columns > 0, name, "takes tokens: set objective next_token or embed");
  } else {
    Require(layout.features > 0, name, "needs features that are numbers: there are none");
    Require(layout.code_columns == 0, name, "takes numbers: encode categories by one_hot");
  }
  if (data_.training == nullptr) return;
  RequireLayout(*data_.training);
  if (data_.training->rows() < 1) Fail("there are no training rows");
  Require(definition_.row_weights != RowWeights::kRefused || !layout.has_weights, name,
          "treats all rows alike: remove the weight column");
  if (data_.validation == nullptr) return;
  RequireLayout(*data_.validation);
  if (data_.validation->rows() < 1) Fail("there are no validation rows: enlarge the split");
}

void ClassicLearner::RequireLayout(const BatchSource& source) const {
  const BatchLayout& a = source.layout();
  const BatchLayout& b = data_.layout;
  if (a.features == b.features && a.code_columns == b.code_columns && a.targets == b.targets &&
      a.classes == b.classes && a.steps == b.steps && a.has_lengths == b.has_lengths &&
      a.target_steps == b.target_steps) {
    return;
  }
  Fail("the data has ", a.features, " features, ", a.code_columns, " code columns, ", a.targets,
       " targets, ", a.classes, " classes and ", a.steps, " steps", a.has_lengths ? " at most" : "",
       ", but the learner was made for ", b.features, ", ", b.code_columns, ", ", b.targets, ", ",
       b.classes, " and ", b.steps);
}

Tensor& ClassicLearner::Add(const std::string& name, std::vector<int64_t> extents, DType dtype,
                            bool is_weight) {
  std::vector<int64_t> shape = extents;
  for (int64_t& extent : shape) extent = std::max<int64_t>(extent, 0);
  Slot& slot = slots_[name];
  slot = {Tensor(Shape(shape), dtype), std::move(extents), is_weight};
  return slot.tensor;
}

Tensor& ClassicLearner::AddWeight(const std::string& name, std::vector<int64_t> extents,
                                  DType dtype) {
  return Add(name, std::move(extents), dtype, true);
}

Tensor& ClassicLearner::AddState(const std::string& name, std::vector<int64_t> extents,
                                 DType dtype) {
  return Add(name, std::move(extents), dtype, false);
}

void ClassicLearner::CheckWeights(const RowBlock& block) const {
  if (block.weights == nullptr) return;
  for (int64_t i = 0; i < block.rows * data_.layout.Judged(); ++i) {
    if (block.weights[i] >= 0) continue;
    Fail("the weight of row ", block.index[static_cast<size_t>(i / data_.layout.Judged())], " is ",
         block.weights[i], ": the learner \"", definition_.name, "\" needs weights of at least 0");
  }
}

bool ClassicLearner::done() const {
  return data_.training == nullptr || progress_.finished ||
         progress_.step >= definition_.total_steps;
}

bool ClassicLearner::Step(StepReport* report) {
  if (data_.training == nullptr) Fail("this learner was made for prediction: it has no rows");
  if (done()) return false;
  const StepResult result = Train(progress_.step);
  ++progress_.step;
  progress_.examples_seen += result.examples;
  progress_.finished = result.finished;
  progress_.epoch_loss += result.loss * result.weight;
  progress_.epoch_weight += result.weight;
  *report = StepReport();
  report->step = progress_.step;
  report->epoch = progress_.epoch;
  report->examples_seen = progress_.examples_seen;
  report->loss = report->main_loss = result.loss;
  report->has_loss = result.has_loss;
  report->learning_rate = result.learning_rate;
  const bool between = definition_.iterates || progress_.step % definition_.steps_per_epoch != 0;
  if (!done() && between) return true;
  report->epoch_end = true;
  report->training_loss = definition_.iterates ? result.loss
                          : progress_.epoch_weight > 0
                              ? progress_.epoch_loss / progress_.epoch_weight
                              : 0;
  report->training_main_loss = report->training_loss;
  const double validation = data_.validation != nullptr ? Evaluate(*data_.validation).loss : kNone;
  report->validation_loss = report->validation_main_loss = validation;
  ++progress_.epoch;
  progress_.epoch_loss = progress_.epoch_weight = 0;
  return true;
}

bool ClassicLearner::ReportMetric(std::string_view name, double) {
  Fail("the metric \"", name, "\" is not expected: the learner \"", definition_.name,
       "\" does not stop early by a metric");
}

int64_t ClassicLearner::OutputsOfRow() const { return OutputShape(1).NumElements(); }

namespace {

// In eight sums, which do not wait for each other.
double SquaresBetween(const float* x, const float* y, int64_t size) {
  constexpr int64_t kSums = 8;
  double sums[kSums] = {};
  int64_t k = 0;
  for (; k + kSums <= size; k += kSums) {
    for (int64_t lane = 0; lane < kSums; ++lane) {
      const double difference = static_cast<double>(x[k + lane]) - static_cast<double>(y[k + lane]);
      sums[lane] += difference * difference;
    }
  }
  for (; k < size; ++k) {
    const double difference = static_cast<double>(x[k]) - static_cast<double>(y[k]);
    sums[0] += difference * difference;
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

void ClassicLearner::FillLosses(const RowBlock& block, int64_t first, int64_t last,
                                const float* outputs, float* losses) const {
  const BatchLayout& layout = data_.layout;
  const int64_t width = OutputsOfRow();
  const bool labels = !definition_.reconstructs && block.labels != nullptr;
  const float* truth = definition_.reconstructs ? block.features : block.targets;
  for (int64_t row = first; row < last; ++row) {
    double sum = 0;
    if (!labels && truth != nullptr) {
      sum = SquaresBetween(outputs + row * width, truth + row * width, width);
    }
    for (int64_t k = 0; k < width && (labels || truth == nullptr); ++k) {
      double expected = 0;
      if (labels) {
        expected = block.labels[row * layout.Judged() + k / layout.classes] == k % layout.classes;
      }
      const double difference = outputs[row * width + k] - expected;
      sum += difference * difference;
    }
    losses[row] = static_cast<float>(sum / static_cast<double>(width));
  }
}

void ClassicLearner::InferAll(const RowBlock& block, const Inference& out) {
  Infer(block, out);
  const int64_t width = OutputsOfRow();
  pool_.ParallelFor((block.rows + kTile - 1) / kTile, [&](int64_t tile) {
    const int64_t first = tile * kTile;
    const int64_t last = std::min(block.rows, first + kTile);
    if (out.probabilities != nullptr && !FillsProbabilities()) {
      std::copy(out.outputs + first * width, out.outputs + last * width,
                out.probabilities + first * width);
    }
    if (out.losses != nullptr && !FillsLosses()) {
      FillLosses(block, first, last, out.outputs, out.losses);
    }
  });
}

Evaluation ClassicLearner::Evaluate(const BatchSource& source) {
  RequireLayout(source);
  Evaluation evaluation;
  evaluation.rows = source.rows();
  RowReader reader(source, &pool_);
  std::vector<float> losses(RowReader::kBlock);
  std::vector<float> outputs;
  double sum = 0;
  reader.ForEach([&](const RowBlock& block) {
    Inference out;
    if (!FillsLosses()) {
      outputs.resize(static_cast<size_t>(block.rows * OutputsOfRow()));
      out.outputs = outputs.data();
    }
    out.losses = losses.data();
    InferAll(block, out);
    for (int64_t row = 0; row < block.rows; ++row) {
      sum += block.Weight(row) * static_cast<double>(losses[static_cast<size_t>(row)]);
      evaluation.weight_sum += std::abs(block.Weight(row));
    }
  });
  evaluation.loss = evaluation.weight_sum > 0 ? sum / evaluation.weight_sum : 0;
  evaluation.main_loss = evaluation.loss;
  return evaluation;
}

Predictions ClassicLearner::Predict(const BatchSource& source, std::span<const int64_t> rows) {
  RequireLayout(source);
  for (const int64_t row : rows) {
    if (row >= 0 && row < source.rows()) continue;
    Fail("there is no row ", row, ": the data has ", source.rows(), " rows");
  }
  const auto count = static_cast<int64_t>(rows.size());
  const bool judged = definition_.reconstructs;
  Predictions made;
  const Shape nothing({count, 0});
  made.outputs = Tensor::Unset(FillsOutputs() ? OutputShape(count) : nothing, DType::kFloat32);
  made.probabilities = Tensor::Unset(OutputShape(count), DType::kFloat32);
  if (judged) made.row_losses = Tensor::Unset({count}, DType::kFloat32);
  if (definition_.codes > 0)
    made.codes = Tensor::Unset({count, definition_.codes}, DType::kFloat32);
  if (definition_.clusters) made.clusters = Tensor({count}, DType::kInt64);
  RowReader reader(source, &pool_);
  const int64_t width = OutputsOfRow();
  // Features and outputs of a thread's rows stay in its cache from one pass over them to the next.
  const int64_t own = std::clamp(
      kBlockNumbers / std::max<int64_t>(1, data_.layout.features + width), kLeastBlock, kMostBlock);
  const int64_t block = std::min(RowReader::kBlock, own * pool_.threads());
  for (int64_t first = 0; first < count; first += block) {
    const int64_t size = std::min(block, count - first);
    Inference out;
    if (FillsOutputs()) out.outputs = made.outputs.values<float>().data() + first * width;
    out.probabilities = made.probabilities.values<float>().data() + first * width;
    if (judged) out.losses = made.row_losses.values<float>().data() + first;
    if (definition_.codes > 0) {
      out.codes = made.codes.values<float>().data() + first * definition_.codes;
    }
    if (definition_.clusters) out.clusters = made.clusters.values<int64_t>().data() + first;
    InferAll(reader.Read(rows.subspan(static_cast<size_t>(first), static_cast<size_t>(size))), out);
  }
  return made;
}

int64_t ClassicLearner::PeakBytes() const {
  int64_t bytes = WorkingBytes() + RowReader::BytesOf(data_.layout, RowReader::kBlock);
  for (const auto& [name, slot] : slots_) bytes += slot.tensor.size_bytes();
  return bytes;
}

}  // namespace beamline::engine
