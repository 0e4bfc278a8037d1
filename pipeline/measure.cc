#include "pipeline/measure.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pipeline/metric_names.h"

namespace beamline::pipeline {
namespace {

namespace metrics = engine::metrics;

// Of two classes, if what the model says are probabilities.
void AddCalibration(std::span<const float> probabilities, const Truth& truth,
                    v1::Evaluation* evaluation) {
  const auto is_one = [](float p) { return p >= 0 && p <= 1; };
  if (!std::all_of(probabilities.begin(), probabilities.end(), is_one)) return;
  for (const metrics::ReliabilityBin& bin : metrics::Reliability(
           probabilities, truth.labels, metrics::kCalibrationBins, truth.weights)) {
    if (bin.weight == 0) continue;
    v1::CalibrationBin& out = *evaluation->add_calibration();
    out.set_predicted(bin.mean_probability);
    out.set_observed(bin.share);
    out.set_weight(bin.weight);
  }
}

// `points` have thresholds, of which the first is infinite.
template <typename Points>
void AddPoints(const Points& points, double above,
               google::protobuf::RepeatedPtrField<v1::CurvePoint>* out) {
  for (const auto& [x, y, threshold] : points) {
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    v1::CurvePoint& point = *out->Add();
    point.set_x(x);
    point.set_y(y);
    point.set_threshold(std::isfinite(threshold) ? threshold : above);
  }
}

}  // namespace

std::vector<int32_t> Decide(const Said& said) {
  if (said.classes > 2) return metrics::ArgMax(said.values, said.classes);
  std::vector<int32_t> decided;
  decided.reserve(said.values.size());
  for (const float probability : said.values) decided.push_back(probability >= 0.5F ? 1 : 0);
  return decided;
}

metrics::Outcome OutcomeOf(const Said& said, const Truth& truth) {
  return {.probabilities = said.values,
          .labels = truth.labels,
          .targets = truth.raw,
          .classes = said.classes,
          .weights = truth.weights};
}

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
  const metrics::Outcome outcome = OutcomeOf(said, truth);
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
  AddCurves(said.values, truth.labels, truth.weights, &evaluation);
  AddCalibration(said.values, truth, &evaluation);
  return evaluation;
}

void AddCurves(std::span<const float> scores, std::span<const int32_t> labels,
               std::span<const float> weights, v1::Evaluation* evaluation) {
  double net[2] = {};
  for (size_t i = 0; i < labels.size(); ++i) {
    net[labels[i] == 1 ? 1 : 0] += weights.empty() ? 1.0 : static_cast<double>(weights[i]);
  }
  const double above = std::max(1.0F, *std::max_element(scores.begin(), scores.end())) + 1.0;
  if (net[0] != 0 && net[1] != 0) {
    AddPoints(metrics::ThinCurve(metrics::RocCurve(scores, labels, weights), kMaxCurvePoints),
              above, evaluation->mutable_roc());
  }
  if (net[1] != 0) {
    AddPoints(metrics::ThinCurve(metrics::PrCurve(scores, labels, weights), kMaxCurvePoints), above,
              evaluation->mutable_precision_recall());
  }
}

}  // namespace beamline::pipeline
