// What is known of a training step's rows from the schema of its dataset, before any row is read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/dataset.pb.h"
#include "beamline/v1/network.pb.h"
#include "beamline/v1/pipeline.pb.h"

namespace beamline::pipeline {

// Integer columns with at most so many different values are classes by default.
inline constexpr int64_t kMaxInferredClasses = 20;
// More classes than this are refused: the target is hardly a class.
inline constexpr int64_t kMaxClasses = 10'000;

// Null if there is none.
const v1::Column* FindColumn(const v1::Dataset& dataset, std::string_view name);
std::vector<std::string> ColumnNames(const v1::Dataset& dataset);

// Whether more than names and types is known: rows and statistics. Not of a table that a step is
// still to make.
bool IsMeasured(const v1::Dataset& dataset);

// Texts of categories in statistics are cut there: they go through messages of limited size.
// Unit: bytes.
inline constexpr size_t kMostCategoryBytes = 200;
// All values of a column of texts, as far as its statistics know them whole; else empty.
std::vector<std::string> AllCategories(const v1::ColumnStatistics& statistics);

// Whether the column holds text; truth values count as the numbers 0 and 1 where they are features.
bool IsText(v1::ColumnType type);
bool IsInteger(v1::ColumnType type);

// True if the target is classes and not numbers: as `data.target_kind` says; else as the loss needs
// it; else if it is a category, a boolean or an integer of at most kMaxInferredClasses values.
// The one place that decides, for validation and execution.
bool TargetIsClass(const v1::TrainingData& data, const v1::Loss& loss, v1::ColumnType type,
                   int64_t distinct);

// Whether TargetIsClass depends on the number of different values.
bool CountDecidesKind(const v1::TrainingData& data, const v1::Loss& loss, v1::ColumnType type);

// Whether the features are to be reconstructed, the rows behind a window or the token behind each
// are to be predicted: then there is no target.
bool Reconstructs(const v1::TrainingData& data);
bool Forecasts(const v1::TrainingData& data);
bool GivesNextToken(const v1::TrainingData& data);
bool JudgesEachStep(const v1::TrainingData& data);
bool GuessesHidden(const v1::TrainingData& data);
// Makes a vector for each token.
bool EmbedsTokens(const v1::TrainingData& data);
// Tells a text from another one: `target` is no class then.
bool Translates(const v1::TrainingData& data);
// Learns from tokens alone: gives the next one, guesses hidden ones, or makes their vectors.
bool ReadsTokens(const v1::TrainingData& data);
bool HasTarget(const v1::TrainingData& data);
// Whether the loss compares rows with each other, so that the network's outputs are embeddings.
bool Embeds(const v1::Loss& loss);

// The columns that are learned from, in the order of `columns`, or as data.features has them: all
// but target, weight, excluded, the split's, train_on's and those that tell sequences, nodes and
// graphs apart.
std::vector<std::string> FeatureColumns(const v1::TrainingData& data,
                                        const std::vector<std::string>& columns);

// Numbers in one row of a column: the product of its item_shape.
int64_t ItemSize(const v1::Column& column);

// data.transforms, or the default ones for such features (names, types and item shapes) and
// objective.
std::vector<v1::Transform> TransformsOf(const v1::TrainingData& data,
                                        const std::vector<v1::Column>& features);

// Whether a split has rows of that kind at all.
bool HasValidationRows(const v1::Split& split);
bool HasTestRows(const v1::Split& split);

}  // namespace beamline::pipeline
