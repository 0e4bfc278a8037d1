#include "pipeline/row_predictions.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/core/error.h"
#include "pipeline/network.h"
#include "pipeline/reconstruction.h"
#include "pipeline/schema.h"
#include "pipeline/translation.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;

std::vector<v1::Prediction> ToEmbeddings(const engine::Predictions& said) {
  std::vector<v1::Prediction> predictions;
  const std::span<const float> numbers = said.probabilities.values<float>();
  const auto width = static_cast<size_t>(said.probabilities.shape().Columns());
  for (size_t first = 0; first < numbers.size(); first += width) {
    const auto row = numbers.subspan(first, width);
    predictions.emplace_back().mutable_embedding()->Add(row.begin(), row.end());
  }
  return predictions;
}

std::vector<v1::Prediction> PredictSteps(engine::Learner& learner,
                                         const engine::BatchSource& source,
                                         const v1::ModelCard& card) {
  std::vector<v1::Prediction> predictions(static_cast<size_t>(source.rows()));
  std::vector<v1::Prediction> steps = ToPredictions(StepsSaid(learner, source, card), card);
  const std::vector<int64_t> lengths = LengthsOf(source);
  auto step = steps.begin();
  for (size_t i = 0; i < predictions.size(); ++i) {
    for (int64_t s = 0; s < lengths[i]; ++s) *predictions[i].add_steps() = std::move(*step++);
  }
  return predictions;
}

// All rows of the table, in its order.
bool IsWhole(const Table& table, const std::vector<int64_t>& rows) {
  if (static_cast<int64_t>(rows.size()) != table.rows()) return false;
  int64_t next = 0;
  return std::all_of(rows.begin(), rows.end(), [&](int64_t row) { return row == next++; });
}

// The categories in the order that columns have them, and the code there of each class.
std::pair<std::vector<std::string>, std::vector<int32_t>> SortedClasses(const v1::ModelCard& card) {
  std::vector<std::string> categories(card.classes().begin(), card.classes().end());
  std::sort(categories.begin(), categories.end());
  std::vector<int32_t> codes;
  for (const std::string& name : card.classes()) {
    const auto at = std::lower_bound(categories.begin(), categories.end(), name);
    codes.push_back(static_cast<int32_t>(at - categories.begin()));
  }
  return {std::move(categories), std::move(codes)};
}

}  // namespace

std::vector<v1::Prediction> PredictRows(engine::Learner& learner, const engine::BatchSource& source,
                                        const v1::ModelCard& card,
                                        const engine::data::FittedTransforms& transforms,
                                        bool reconstruction) {
  if (Reconstructs(card.data())) {
    return PredictReconstruction(learner, source, transforms, reconstruction);
  }
  if (Forecasts(card.data())) return PredictForecast(learner, source, transforms);
  if (Translates(card.data())) {
    return Translate(learner, source, transforms, card.data().translation().tokens());
  }
  if (JudgesEachStep(card.data())) return PredictSteps(learner, source, card);
  if (Embeds(card.network().loss())) return ToEmbeddings(learner.Predict(source));
  return ToPredictions(ToSaid(learner.Predict(source), card), card);
}

PredictionColumns::PredictionColumns(const v1::ModelCard& card) : card_(card) {
  const std::vector<int32_t> codes = SortedClasses(card).second;
  for (int k = 0; k < card.classes_size(); ++k)
    codes_[card.classes(k)] = codes[static_cast<size_t>(k)];
}

std::vector<std::string> PredictionColumns::NamesOf(const v1::Prediction& prediction) const {
  if (Translates(card_.data())) return {"probability"};
  std::vector<std::string> names;
  for (int k = 0; k < prediction.probabilities_size(); ++k) {
    names.push_back(absl::StrCat("probability_", card_.classes(k)));
  }
  if (prediction.has_reconstruction_error()) names.push_back("reconstruction_error");
  for (int k = 1; k <= prediction.embedding_size(); ++k) {
    names.push_back(absl::StrCat("embedding_", k));
  }
  for (int k = 0; k < prediction.forecast_size(); ++k) {
    names.push_back(absl::StrCat("forecast_", k / card_.features_size() + 1, "_",
                                 card_.features(k % card_.features_size())));
  }
  if (names.empty()) names.push_back("prediction");
  return names;
}

void PredictionColumns::AddOne(const v1::Prediction& prediction) {
  if (rows_ == 0) {
    names_ = NamesOf(prediction);
    values_.resize(names_.size());
  }
  ++rows_;
  if (Translates(card_.data())) {
    texts_.push_back(prediction.label());
    text_bytes_ += static_cast<int64_t>(sizeof(std::string) + prediction.label().size());
  } else if (prediction.probabilities_size() > 0) {
    labels_.push_back(codes_.at(prediction.label()));
  } else if (int64_t cluster = 0; absl::SimpleAtoi(prediction.label(), &cluster)) {
    clusters_.push_back(cluster);
  }
  size_t at = 0;
  const auto add = [&](double value) { values_.at(at++).push_back(static_cast<float>(value)); };
  for (const double p : prediction.probabilities()) add(p);
  if (prediction.has_reconstruction_error()) add(prediction.reconstruction_error());
  for (const double number : prediction.embedding()) add(number);
  for (const double number : prediction.forecast()) add(number);
  if (at == 0) add(prediction.value());
}

void PredictionColumns::Add(std::span<const v1::Prediction> predictions) {
  const bool steps = JudgesEachStep(card_.data());
  for (const v1::Prediction& prediction : predictions) {
    if (!steps) AddOne(prediction);
    for (const v1::Prediction& step : prediction.steps()) AddOne(step);
  }
}

void PredictionColumns::Add(const Said& said) {
  constexpr size_t kRowsAtOnce = 16'384;
  const size_t piece = kRowsAtOnce * static_cast<size_t>(std::max<int64_t>(said.classes, 1));
  for (size_t first = 0; first < said.values.size(); first += piece) {
    const auto values = std::span(said.values).subspan(first);
    const auto some = values.first(std::min(piece, values.size()));
    const Said of_some{.values = std::vector<float>(some.begin(), some.end()),
                       .classes = said.classes};
    for (const v1::Prediction& prediction : ToPredictions(of_some, card_)) AddOne(prediction);
  }
}

int64_t PredictionColumns::row_bytes() const {
  constexpr auto kNumber = static_cast<int64_t>(sizeof(float));
  const int64_t classes = card_.classes_size();
  if (rows_ == 0) return kNumber * std::max<int64_t>(classes, 1) + (classes > 0 ? kNumber : 0);
  int64_t bytes = kNumber * static_cast<int64_t>(names_.size());
  if (!labels_.empty()) bytes += static_cast<int64_t>(sizeof(int32_t));
  if (!clusters_.empty()) bytes += static_cast<int64_t>(sizeof(int64_t));
  return bytes + (text_bytes_ + rows_ - 1) / rows_;
}

std::vector<Column> PredictionColumns::Take() {
  std::vector<Column> columns;
  if (!texts_.empty()) columns.push_back(Column::OfStrings("prediction", texts_));
  if (!labels_.empty()) {
    auto codes = std::make_shared<const std::vector<int32_t>>(std::move(labels_));
    columns.push_back(Column(
        {.name = "prediction",
         .type = engine::data::ColumnType::kCategorical,
         .rows = rows_,
         .values = codes->data(),
         .categories = std::make_shared<const std::vector<std::string>>(SortedClasses(card_).first),
         .owner = codes}));
  }
  for (size_t k = 0; k < names_.size(); ++k) {
    columns.push_back(Column::Of(names_[k], std::move(values_[k])));
    if (names_[k] != "reconstruction_error" || clusters_.empty()) continue;
    columns.push_back(Column::Of("cluster", std::move(clusters_)));
  }
  return columns;
}

int64_t BesideBytes(const Table& table, const std::vector<int64_t>& rows) {
  if (IsWhole(table, rows)) return 0;
  int64_t bytes = 0;
  for (const Column& column : table.columns()) {
    if (column.item_size() != 1) continue;
    bytes += static_cast<int64_t>(engine::data::ValueBytes(column.type()) * rows.size());
  }
  return bytes;
}

Table Beside(const Table& table, const std::vector<int64_t>& rows,
             const std::vector<Column>& columns) {
  const bool whole = IsWhole(table, rows);
  std::vector<Column> beside;
  for (const Column& column : table.columns()) {
    if (column.item_size() != 1) continue;
    beside.push_back(whole ? column : column.Take(rows));
  }
  std::set<std::string> taken;
  for (const Column& column : table.columns()) taken.insert(column.name());
  for (const Column& column : columns) {
    std::string name = column.name();
    while (!taken.insert(name).second) name += "_";
    beside.push_back(column.Renamed(std::move(name)));
  }
  return Table(std::move(beside));
}

}  // namespace beamline::pipeline
