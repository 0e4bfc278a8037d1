#include "pipeline/measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/metrics/metrics.h"
#include "pipeline/metric_names.h"

namespace beamline::pipeline {
namespace {

namespace metrics = engine::metrics;

// The class that each row is taken for.
std::vector<int32_t> Decide(const Said& said) {
  if (said.classes > 2) return metrics::ArgMax(said.values, said.classes);
  std::vector<int32_t> decided;
  decided.reserve(said.values.size());
  for (const float probability : said.values) decided.push_back(probability >= 0.5F ? 1 : 0);
  return decided;
}

}  // namespace

Said ToSaid(const engine::Predictions& predictions, const v1::ModelCard& card) {
  Said said;
  said.classes = card.classes_size();
  const std::span<const float> values = predictions.probabilities.values<float>();
  const int64_t outputs = predictions.probabilities.shape().Columns();
  if (said.classes == 0) {
    for (const float value : values) {
      said.values.push_back(static_cast<float>(value * card.target_scale() + card.target_offset()));
    }
  } else if (said.classes == 2 && outputs == 2) {
    for (size_t i = 1; i < values.size(); i += 2) said.values.push_back(values[i]);
  } else {
    said.values.assign(values.begin(), values.end());
  }
  return said;
}

std::vector<int64_t> LengthsOf(const engine::BatchSource& source) {
  const engine::BatchLayout& layout = source.layout();
  const auto count = static_cast<size_t>(source.rows());
  if (!layout.has_lengths) return std::vector<int64_t>(count, layout.target_steps);
  std::vector<int64_t> rows(count);
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<int32_t> lengths(count);
  source.Gather(rows, {.lengths = lengths.data()});
  return {lengths.begin(), lengths.end()};
}

Said StepsSaid(engine::Learner& learner, const engine::BatchSource& source,
               const v1::ModelCard& card) {
  const Said all = ToSaid(learner.Predict(source), card);
  Said said;
  said.classes = all.classes;
  const int64_t width = all.classes > 2 ? all.classes : 1;
  auto row = all.values.begin();
  for (const int64_t length : LengthsOf(source)) {
    said.values.insert(said.values.end(), row, row + length * width);
    row += source.layout().target_steps * width;
  }
  return said;
}

std::map<std::string, double> Metrics(const Said& said, const Truth& truth,
                                      const std::vector<std::string>& names) {
  metrics::Outcome outcome;
  outcome.probabilities = said.values;
  outcome.labels = truth.labels;
  outcome.targets = truth.raw;
  outcome.classes = said.classes;
  outcome.weights = truth.weights;
  std::map<std::string, double> values;
  for (const std::string& name : names.empty() ? DefaultMetrics(said.classes) : names) {
    if (name == "loss") continue;
    const double value = metrics::FindMetric(name).compute(outcome);
    if (std::isfinite(value)) values[name] = value;
  }
  return values;
}

std::vector<v1::Prediction> ToPredictions(const Said& said, const v1::ModelCard& card) {
  const size_t width = said.classes > 2 ? static_cast<size_t>(said.classes) : 1;
  std::vector<v1::Prediction> predictions(said.values.size() / width);
  const std::vector<int32_t> decided = said.classes > 0 ? Decide(said) : std::vector<int32_t>{};
  for (size_t i = 0; i < predictions.size(); ++i) {
    v1::Prediction& prediction = predictions[i];
    if (said.classes == 0) {
      prediction.set_value(said.values[i]);
      continue;
    }
    prediction.set_label(card.classes(decided[i]));
    if (said.classes == 2) prediction.add_probabilities(1.0 - said.values[i]);
    for (size_t j = 0; j < width; ++j) {
      prediction.add_probabilities(said.values[i * width + j]);
    }
  }
  return predictions;
}

v1::Evaluation Measure(const Said& said, const Truth& truth, const v1::ModelCard& card,
                       const std::vector<std::string>& names) {
  v1::Evaluation evaluation;
  for (const auto& [name, value] : Metrics(said, truth, names)) {
    (*evaluation.mutable_metrics())[name] = value;
  }
  evaluation.set_row_count(static_cast<int64_t>(truth.targets.size()));
  if (said.classes == 0) return evaluation;
  evaluation.mutable_classes()->CopyFrom(card.classes());
  for (const double cell :
       metrics::ConfusionMatrix(Decide(said), truth.labels, said.classes, truth.weights)) {
    evaluation.add_confusion(cell);
  }
  if (said.classes != 2) return evaluation;
  AddRoc(said.values, truth.labels, truth.weights, &evaluation);
  return evaluation;
}

void AddRoc(std::span<const float> scores, std::span<const int32_t> labels,
            std::span<const float> weights, v1::Evaluation* evaluation) {
  const auto curve = metrics::ThinCurve(metrics::RocCurve(scores, labels, weights), kMaxRocPoints);
  const double above = std::max(1.0F, *std::max_element(scores.begin(), scores.end())) + 1.0;
  for (const metrics::RocPoint& point : curve) {
    if (!std::isfinite(point.false_positive_rate) || !std::isfinite(point.true_positive_rate)) {
      continue;  // Only one class among the rows.
    }
    v1::CurvePoint& out = *evaluation->add_roc();
    out.set_x(point.false_positive_rate);
    out.set_y(point.true_positive_rate);
    out.set_threshold(std::isfinite(point.threshold) ? point.threshold : above);
  }
}

}  // namespace beamline::pipeline
