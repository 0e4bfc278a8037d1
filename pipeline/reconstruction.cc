#include "pipeline/reconstruction.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "engine/core/error.h"
#include "engine/metrics/metrics.h"
#include "pipeline/measure.h"
#include "pipeline/metric_names.h"

namespace beamline::pipeline {
namespace {

using engine::data::FittedColumn;
using engine::data::FittedStep;

constexpr int64_t kRowsAtOnce = 4096;

// What a learner says of a row.
struct RowSaid {
  // Targets if the row has any (forecasts), else features; and what the learner makes of them,
  // empty if it gives a score instead.
  std::span<const float> truth;
  std::span<const float> made;
  float score = 0;
  // Empty if the learner has none; a cluster then is -1.
  std::span<const float> code;
  int64_t cluster = -1;
};

// Row i of several that are equally long.
std::span<const float> RowOf(const engine::Tensor& tensor, size_t i, size_t rows) {
  const std::span<const float> all = tensor.values<float>();
  return all.subspan(i * (all.size() / rows), all.size() / rows);
}

RowSaid SaidOfRow(const engine::Predictions& all, size_t i, size_t rows) {
  RowSaid said;
  said.made = RowOf(all.probabilities, i, rows);
  if (said.made.empty()) said.score = all.row_losses.values<float>()[i];
  if (all.codes.NumElements() > 0) said.code = RowOf(all.codes, i, rows);
  if (all.clusters.NumElements() > 0) said.cluster = all.clusters.values<int64_t>()[i];
  return said;
}

// Calls use(said) for each row of the source.
template <typename Use>
void ForEachRow(engine::Learner& learner, const engine::BatchSource& source, const Use& use) {
  const bool targets = source.layout().targets > 0;
  const auto width =
      static_cast<size_t>(targets ? source.layout().targets : source.layout().features);
  std::vector<int64_t> rows;
  std::vector<float> truth;
  for (int64_t first = 0; first < source.rows(); first += kRowsAtOnce) {
    rows.resize(static_cast<size_t>(std::min(kRowsAtOnce, source.rows() - first)));
    std::iota(rows.begin(), rows.end(), first);
    truth.resize(rows.size() * width);
    source.Gather(rows, {.features = targets ? nullptr : truth.data(),
                         .targets = targets ? truth.data() : nullptr});
    const engine::Predictions predictions = learner.Predict(source, rows);
    for (size_t i = 0; i < rows.size(); ++i) {
      RowSaid said = SaidOfRow(predictions, i, rows.size());
      said.truth = std::span<const float>(truth).subspan(i * width, width);
      use(said);
    }
  }
}

struct Error {
  float squared = 0;
  float absolute = 0;
};
Error ErrorOf(std::span<const float> features, std::span<const float> made) {
  double squared = 0, absolute = 0;
  for (size_t k = 0; k < features.size(); ++k) {
    const double difference = static_cast<double>(made[k]) - static_cast<double>(features[k]);
    squared += difference * difference;
    absolute += std::abs(difference);
  }
  const auto count = static_cast<double>(features.size());
  return {static_cast<float>(squared / count), static_cast<float>(absolute / count)};
}

double WeightedMean(std::span<const float> values, std::span<const float> weights) {
  double sum = 0, weight_sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double weight = weights.empty() ? 1 : static_cast<double>(weights[i]);
    sum += weight * static_cast<double>(values[i]);
    weight_sum += weight;
  }
  return sum / weight_sum;
}

// Undoes the steps that can be undone.
double Restore(const std::vector<FittedStep>& steps, size_t k, double x) {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const auto at = [&](const std::vector<double>& v) { return v.size() > 1 ? v[k] : v[0]; };
    if (step->kind == FittedStep::Kind::kScale) x = x / at(step->b) + at(step->a);
    if (step->kind == FittedStep::Kind::kLog1p) x = std::expm1(x);
  }
  return x;
}

}  // namespace

std::vector<double> InColumnScale(const engine::data::FittedTransforms& transforms,
                                  std::span<const float> made) {
  std::vector<double> values;
  values.reserve(made.size());
  size_t next = 0;
  for (const FittedColumn& column : transforms.columns) {
    if (column.output == FittedColumn::Output::kCode) continue;
    const bool one_hot = column.output == FittedColumn::Output::kOneHot;
    const size_t size = one_hot ? column.categories.size() : static_cast<size_t>(column.item_size);
    for (size_t k = 0; k < size; ++k) {
      const auto value = static_cast<double>(made[next++]);
      values.push_back(column.output == FittedColumn::Output::kNumbers
                           ? Restore(column.steps, k, value)
                           : value);
    }
  }
  return values;
}

// The same of several rows one after the other.
static void AddRows(const engine::data::FittedTransforms& transforms, std::span<const float> made,
                    google::protobuf::RepeatedField<double>* out) {
  const auto width = static_cast<size_t>(transforms.features());
  for (size_t first = 0; first < made.size(); first += width) {
    for (const double value : InColumnScale(transforms, made.subspan(first, width))) {
      out->Add(value);
    }
  }
}

RowErrors ErrorsOf(engine::Learner& learner, const engine::BatchSource& source) {
  RowErrors errors;
  errors.scores.reserve(static_cast<size_t>(source.rows()));
  errors.absolute.reserve(static_cast<size_t>(source.rows()));
  ForEachRow(learner, source, [&](const RowSaid& said) {
    if (said.made.empty()) {
      errors.scores.push_back(said.score);
      return;
    }
    const Error error = ErrorOf(said.truth, said.made);
    errors.scores.push_back(error.squared);
    errors.absolute.push_back(error.absolute);
  });
  return errors;
}

std::vector<int32_t> ReadAnomalies(const engine::data::Table& table,
                                   const v1::AnomalyLabels& labels,
                                   const std::vector<int64_t>& rows) {
  const engine::data::Column& column = table.Get(labels.column());
  std::set<std::string> values(labels.values().begin(), labels.values().end());
  const bool zero_or_one = values.empty();
  if (zero_or_one) values = {column.type() == engine::data::ColumnType::kBool ? "true" : "1"};
  std::vector<int32_t> anomalies;
  for (const int64_t row : rows) {
    const std::string text = column.Text(row);
    if (text.empty()) {
      engine::Fail(engine::data::RowName(row), ", column \"", column.name(),
                   "\": the value is missing, so that nobody knows whether the row is an anomaly");
    }
    if (zero_or_one && !values.contains(text) && text != "0" && text != "false") {
      engine::Fail(engine::data::RowName(row), ", column \"", column.name(), "\": \"", text,
                   "\" is neither 0 nor 1: give the values of anomalies");
    }
    anomalies.push_back(values.contains(text) ? 1 : 0);
  }
  return anomalies;
}

std::map<std::string, double> MeasureErrors(const RowErrors& errors,
                                            std::span<const int32_t> anomalies,
                                            std::span<const float> weights,
                                            const std::vector<std::string>& names) {
  std::map<std::string, double> values;
  for (const std::string& name :
       names.empty() ? ReconstructionMetrics(!anomalies.empty()) : names) {
    double value = std::nan("");
    if (name == "mse" && !errors.absolute.empty()) value = WeightedMean(errors.scores, weights);
    if (name == "mae" && !errors.absolute.empty()) value = WeightedMean(errors.absolute, weights);
    if (name == "auc" && !anomalies.empty()) {
      value = engine::metrics::RocAuc(errors.scores, anomalies, weights);
    }
    if (name == "pr_auc" && !anomalies.empty()) {
      value = engine::metrics::PrAuc(errors.scores, anomalies, weights);
    }
    if (std::isfinite(value)) values[name] = value;
  }
  return values;
}

v1::Evaluation MeasureReconstruction(const RowErrors& errors, std::span<const int32_t> anomalies,
                                     std::span<const float> weights,
                                     const std::vector<std::string>& names) {
  v1::Evaluation evaluation;
  for (const auto& [name, value] : MeasureErrors(errors, anomalies, weights, names)) {
    (*evaluation.mutable_metrics())[name] = value;
  }
  evaluation.set_row_count(static_cast<int64_t>(errors.scores.size()));
  if (!anomalies.empty()) AddCurves(errors.scores, anomalies, weights, &evaluation);
  return evaluation;
}

std::vector<v1::Prediction> PredictReconstruction(engine::Learner& learner,
                                                  const engine::BatchSource& source,
                                                  const engine::data::FittedTransforms& transforms,
                                                  bool give_features) {
  std::vector<v1::Prediction> predictions;
  ForEachRow(learner, source, [&](const RowSaid& said) {
    v1::Prediction& prediction = predictions.emplace_back();
    const float error = said.made.empty() ? said.score : ErrorOf(said.truth, said.made).squared;
    prediction.set_reconstruction_error(static_cast<double>(error));
    if (give_features) AddRows(transforms, said.made, prediction.mutable_reconstruction());
    prediction.mutable_embedding()->Add(said.code.begin(), said.code.end());
    if (said.cluster >= 0) prediction.set_label(std::to_string(said.cluster));
  });
  return predictions;
}

std::vector<v1::Prediction> PredictForecast(engine::Learner& learner,
                                            const engine::BatchSource& source,
                                            const engine::data::FittedTransforms& transforms) {
  std::vector<v1::Prediction> predictions;
  const engine::Predictions said = learner.Predict(source);
  const std::span<const float> made = said.outputs.values<float>();
  const auto width = static_cast<size_t>(source.layout().targets);
  for (size_t first = 0; first < made.size(); first += width) {
    AddRows(transforms, made.subspan(first, width), predictions.emplace_back().mutable_forecast());
  }
  return predictions;
}

}  // namespace beamline::pipeline
