// What a learner says of the rows of a source, whatever its objective, as messages and as columns.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "beamline/v1/model.pb.h"
#include "engine/data/table.h"
#include "engine/data/transform.h"
#include "engine/learners/learner.h"
#include "pipeline/measure.h"

namespace beamline::pipeline {

// One prediction a row of `source`. Not for models that generate, or write or guess tokens.
// `reconstruction`: as in PredictRequest.
std::vector<v1::Prediction> PredictRows(engine::Learner& learner, const engine::BatchSource& source,
                                        const v1::ModelCard& card,
                                        const engine::data::FittedTransforms& transforms,
                                        bool reconstruction = false);

// Predictions of a model as columns, with the names that PredictStep says.
class PredictionColumns {
 public:
  // `card` must outlive it.
  explicit PredictionColumns(const v1::ModelCard& card);

  // Those of further rows, which are said of the same things as the first. A prediction of steps
  // counts as one for each of them.
  void Add(std::span<const v1::Prediction> predictions);
  // What is said of further rows, or of their steps; only some of it is turned into messages at
  // once.
  void Add(const Said& said);
  // What a row takes in memory: in the mean of those so far, and before the first as if numbers or
  // classes were predicted.
  int64_t row_bytes() const;
  // All columns. Nothing may be added after.
  std::vector<engine::data::Column> Take();

 private:
  void AddOne(const v1::Prediction& prediction);
  std::vector<std::string> NamesOf(const v1::Prediction& prediction) const;

  const v1::ModelCard& card_;
  std::unordered_map<std::string, int32_t> codes_;  // of each class
  int64_t rows_ = 0;
  int64_t text_bytes_ = 0;
  std::vector<int32_t> labels_;
  std::vector<std::string> texts_;
  std::vector<int64_t> clusters_;
  // Of each number of a prediction but its cluster.
  std::vector<std::string> names_;
  std::vector<std::vector<float>> values_;
};

// What Beside copies of the columns of `table`. Unit: bytes.
int64_t BesideBytes(const engine::data::Table& table, const std::vector<int64_t>& rows);

// `columns` behind the plain ones of `table`, `rows` of it, in that order. An underscore is put
// behind a name that the table has.
engine::data::Table Beside(const engine::data::Table& table, const std::vector<int64_t>& rows,
                           const std::vector<engine::data::Column>& columns);

}  // namespace beamline::pipeline
