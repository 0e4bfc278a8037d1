// How much each column matters to a model: what its metric loses when the column is permuted.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/run.pb.h"
#include "beamline/v1/training_data.pb.h"
#include "engine/data/table.h"
#include "engine/data/transform.h"

namespace beamline::pipeline {

inline constexpr int kMostPermutations = 100;

// Why columns of such data cannot be permuted row by row, with what to do; empty if they can.
std::string_view NotPermutable(const v1::TrainingData& data);

struct PermutationPlan {
  // Rows of the table that are measured, each once. The column's values change places among them.
  const std::vector<int64_t>& rows;
  // Of the rows as they are.
  double baseline = 0;
  bool larger_is_better = true;
  int repeats = 5;  // at most kMostPermutations
  uint64_t seed = 0;
};

// The columns that features are made of, each once, in the order of the transforms.
std::vector<std::string> ColumnsOf(const engine::data::FittedTransforms& transforms);

// The table with one column permuted among `rows`. Depends on seed, `column`'s place `number`
// among the columns and the repeat alone.
engine::data::Table Permuted(const engine::data::Table& table, const std::string& column,
                             int64_t number, int repeat, const PermutationPlan& plan);

// The columns that matter most first; of equals the first. `metric_of` measures a table; NaN: it
// cannot be computed, and the repeat is left out, and the column if all are. Nothing if it returns
// nothing: then it was asked to stop.
std::optional<std::vector<v1::ColumnImportance>> ImportanceOf(
    const engine::data::Table& table, const std::vector<std::string>& columns,
    const PermutationPlan& plan,
    const std::function<std::optional<double>(const engine::data::Table&)>& metric_of);

}  // namespace beamline::pipeline
