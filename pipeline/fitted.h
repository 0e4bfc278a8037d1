// Transforms and targets between the definition language, the engine and the model card.
#pragma once

#include <string>
#include <vector>

#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/model.pb.h"
#include "beamline/v1/pipeline.pb.h"
#include "engine/data/column.h"
#include "engine/data/split.h"
#include "engine/data/statistics.h"
#include "engine/data/table.h"
#include "engine/data/target.h"
#include "engine/data/transform.h"

namespace beamline::pipeline {

// What the engine fits for data.transforms on the feature columns. Throws engine::Error for a
// transform without a kind.
std::vector<engine::data::TransformSpec> ToTransformSpecs(const v1::TrainingData& data,
                                                          const std::vector<v1::Column>& features);

// What the engine splits by. `has_split` is false if all rows train.
struct SplitChoice {
  bool has_split = false;
  engine::data::SplitSpec spec;
};
SplitChoice ToSplitSpec(const v1::TrainingData& data, uint64_t seed);

// Between the engine's plain data and the card's. The second throws engine::Error if the card is
// malformed: sizes that do not match, kinds that are not known.
void ToCard(const engine::data::FittedTransforms& fitted, v1::ModelCard* card);
engine::data::FittedTransforms FromCard(const v1::ModelCard& card);

// The target as the card has it.
engine::data::FittedTarget TargetFromCard(const v1::ModelCard& card);

v1::ColumnType ToProto(engine::data::ColumnType type);
// Name, type and item shape; no statistics.
v1::Column ToProto(const engine::data::Column& column);
// Number of rows, and the columns with their statistics. Texts of categories are cut at
// kMostCategoryBytes (schema.h).
void DescribeTable(const engine::data::Table& table,
                   const std::vector<engine::data::ColumnStatistics>& statistics,
                   v1::Dataset* dataset);

}  // namespace beamline::pipeline
