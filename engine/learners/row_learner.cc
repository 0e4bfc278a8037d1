#include "engine/learners/row_learner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

// Rows of one tile of a prediction, and of one part of an evaluation.
constexpr int64_t kTileRows = 64;
constexpr int64_t kEvaluatedRows = 8192;
// Rows that one thread gathers at once.
constexpr int64_t kGatheredRows = 512;

std::vector<int64_t> RowNumbers(int64_t first, int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

// The sum of w l over rows that were predicted, and of |w|.
struct LossSum {
  double loss = 0;
  double weight = 0;
};

void AddLosses(const RowMatrix& rows, std::span<const float> said, int64_t outputs, LossSum* sum) {
  for (int64_t i = 0; i < rows.rows; ++i) {
    const auto weight = static_cast<double>(rows.weights[static_cast<size_t>(i)]);
    sum->loss += weight * LossOf(rows, i, said.data() + i * outputs, outputs);
    sum->weight += std::abs(weight);
  }
}

// By all threads of the pool.
RowMatrix Read(const BatchSource& source, std::span<const int64_t> rows, bool features,
               ThreadPool* pool) {
  const BatchLayout& layout = source.layout();
  RowMatrix out;
  out.rows = static_cast<int64_t>(rows.size());
  out.features = layout.features;
  out.targets = layout.targets;
  if (features) out.x.resize(rows.size() * static_cast<size_t>(layout.features));
  if (layout.classes > 0) out.labels.resize(rows.size());
  out.y.resize(rows.size() * static_cast<size_t>(layout.targets));
  out.weights.assign(rows.size(), 1.0F);
  const auto count = static_cast<int64_t>(rows.size());
  pool->ParallelFor((count + kGatheredRows - 1) / kGatheredRows, [&](int64_t tile) {
    const int64_t first = tile * kGatheredRows;
    const auto own = rows.subspan(static_cast<size_t>(first),
                                  static_cast<size_t>(std::min(kGatheredRows, count - first)));
    source.Gather(own,
                  {.features = features ? out.x.data() + first * layout.features : nullptr,
                   .targets = layout.targets > 0 ? out.y.data() + first * layout.targets : nullptr,
                   .labels = layout.classes > 0 ? out.labels.data() + first : nullptr,
                   .weights = layout.has_weights ? out.weights.data() + first : nullptr});
  });
  for (const float weight : out.weights) out.weight_sum += static_cast<double>(weight);
  return out;
}

}  // namespace

double LossOf(const RowMatrix& rows, int64_t row, const float* said, int64_t outputs) {
  // Below the least probability that a float can hold.
  constexpr double kLeast = 1e-45;
  if (!rows.labels.empty()) {
    const auto right = static_cast<double>(said[rows.labels[static_cast<size_t>(row)]]);
    return -std::log(std::max(right, kLeast));
  }
  double loss = 0;
  for (int64_t k = 0; k < outputs; ++k) {
    const double error = static_cast<double>(said[k]) -
                         static_cast<double>(rows.y[static_cast<size_t>(row * outputs + k)]);
    loss += error * error / static_cast<double>(outputs);
  }
  return loss;
}

RowMatrix ReadRows(const BatchSource& source, ThreadPool* pool) {
  return Read(source, RowNumbers(0, source.rows()), true, pool);
}

RowLearner::RowLearner(const LearnerData& data, int threads, std::string definition)
    : data_(data), pool_(threads) {
  const BatchLayout& layout = data_.layout;
  if (layout.features <= 0 || layout.code_columns > 0 || layout.nodes != nullptr ||
      layout.target_steps > 0 || layout.has_lengths) {
    Fail("the learner takes rows of numbers only: encode categories by one_hot");
  }
  if ((layout.classes > 0) == (layout.targets > 0)) {
    Fail("the learner predicts classes or numbers, and the data has ",
         layout.classes > 0 ? "both" : "neither");
  }
  definition_ = Concat(std::move(definition), " on ", layout.features, ' ', layout.classes, ' ',
                       layout.targets, ' ', layout.has_weights);
  if (data_.training != nullptr) RequireLayout(*data_.training);
  if (data_.validation != nullptr) RequireLayout(*data_.validation);
}

const BatchSource& RowLearner::training() const {
  if (data_.training == nullptr) Fail("the learner was made without training rows");
  return *data_.training;
}

void RowLearner::RequireLayout(const BatchSource& source) const {
  const BatchLayout& layout = source.layout();
  if (layout.features == features() && layout.classes == classes() &&
      layout.targets == data_.layout.targets) {
    return;
  }
  Fail("rows have ", layout.features, " features, ", layout.classes, " classes and ",
       layout.targets, " targets, but the learner needs ", features(), ", ", classes(), " and ",
       data_.layout.targets);
}

bool RowLearner::Step(StepReport* report) {
  const BatchSource& rows = training();
  if (done()) return false;
  StepReport out;
  out.step = step_ + 1;
  out.examples_seen = rows.rows() * out.step;
  out.epoch_end = true;
  Advance(&out);
  ++step_;
  out.main_loss = out.loss;
  if (out.epoch_end) {
    out.training_loss = out.training_main_loss = out.loss;
    out.validation_loss =
        data_.validation == nullptr ? std::nan("") : Evaluate(*data_.validation).loss;
    out.validation_main_loss = out.validation_loss;
  }
  *report = out;
  return true;
}

bool RowLearner::ReportMetric(std::string_view name, double /*value*/) {
  Fail("this learner stops by itself, and not by the metric \"", name, "\"");
}

Evaluation RowLearner::Evaluate(const BatchSource& source) {
  RequireLayout(source);
  LossSum sum;
  for (int64_t first = 0; first < source.rows(); first += kEvaluatedRows) {
    const auto rows = RowNumbers(first, std::min(kEvaluatedRows, source.rows() - first));
    const Predictions said = Predict(source, rows);
    AddLosses(Read(source, rows, false, &pool_), said.probabilities.values<float>(), outputs(),
              &sum);
  }
  Evaluation evaluation;
  evaluation.rows = source.rows();
  evaluation.weight_sum = sum.weight;
  evaluation.loss = evaluation.main_loss = sum.weight > 0 ? sum.loss / sum.weight : 0;
  return evaluation;
}

Predictions RowLearner::Predict(const BatchSource& source, std::span<const int64_t> rows) {
  if (source.layout().features != features()) RequireLayout(source);
  for (const int64_t row : rows) {
    if (row >= 0 && row < source.rows()) continue;
    Fail("there is no row ", row, ": the data has ", source.rows(), " rows");
  }
  PrepareToPredict();
  const auto count = static_cast<int64_t>(rows.size());
  Tensor said = Tensor::Unset({count, outputs()}, DType::kFloat32);
  float* const out = said.values<float>().data();
  const int64_t tiles = PredictKnown(source, rows, out) ? 0 : (count + kTileRows - 1) / kTileRows;
  pool_.ParallelFor(tiles, [&](int64_t tile) {
    const int64_t first = tile * kTileRows;
    const int64_t size = std::min(kTileRows, count - first);
    std::vector<float> x(static_cast<size_t>(size * features()));
    source.Gather(rows.subspan(static_cast<size_t>(first), static_cast<size_t>(size)),
                  {.features = x.data()});
    PredictRows(x.data(), size, out + first * outputs());
  });
  Tensor outputs = said.Clone();
  return {std::move(outputs), std::move(said), Tensor({0}, DType::kFloat32)};
}

void RowLearner::Save(std::string* bytes) const {
  CheckpointWriter out(bytes);
  WriteHead(FingerprintOf(definition_), data_.training, &out);
  out.Integer(static_cast<uint64_t>(step_));
  SaveState(&out);
  out.Finish();
}

void RowLearner::Load(std::string_view bytes) {
  CheckpointReader in(bytes);
  CheckHead(FingerprintOf(definition_), data_.training, &in);
  const int64_t step = in.Count();
  LoadState(&in);
  step_ = step;
}

std::string Exact(double value) {
  std::ostringstream out;
  out << std::hexfloat << value;
  return out.str();
}

const Tensor& FindWeight(const std::vector<NamedTensor>& weights, std::string_view name,
                         DType dtype) {
  for (const NamedTensor& weight : weights) {
    if (weight.name != name) continue;
    if (weight.tensor.dtype() != dtype) {
      Fail("\"", name, "\" is ", Name(weight.tensor.dtype()), ", not ", Name(dtype));
    }
    return weight.tensor;
  }
  Fail("the weight \"", name, "\" is missing");
}

const Tensor& FindWeight(const std::vector<NamedTensor>& weights, std::string_view name,
                         DType dtype, const Shape& shape) {
  const Tensor& tensor = FindWeight(weights, name, dtype);
  if (tensor.shape() == shape) return tensor;
  Fail("weight \"", name, "\" has shape ", tensor.shape(), " but the learner needs ", shape);
}

}  // namespace beamline::engine
