// Tables of rows of other tables.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::tables {

// Stands for a row that is not there: all its values are missing.
inline constexpr int64_t kNoRow = -1;

// Those rows in that order. Throws Error if there is no room, or if a row that is not there meets
// arrays of integers, which cannot be missing.
data::Column Gather(const data::Column& column, std::span<const int64_t> rows,
                    data::Workspace& workspace);
data::Table Gather(const data::Table& table, std::span<const int64_t> rows,
                   data::Workspace& workspace);

// The columns' values one below the other as one column of `type`: their own, or a number's that
// can hold them (int64, float32 beside itself, float64). Items have the shape of the first's.
data::Column Concatenate(const std::vector<data::Column>& parts, std::string name,
                         data::ColumnType type, data::Workspace& workspace);

// One column whose rows are the numbers of several, which have one type; `shape`: of an item.
// Throws Error, with the row, if an integer is missing.
data::Column Stack(const std::vector<data::Column>& columns, std::string name,
                   std::vector<int64_t> shape, data::Workspace& workspace);

// With `value` where one is missing; of texts `text`. A value that the type cannot hold is an
// Error.
data::Column Fill(const data::Column& column, double value, const std::string& text,
                  data::Workspace& workspace);
// Whether the type can hold the value: whole numbers in its range, 0 and 1 of bools.
bool Holds(data::ColumnType type, double value);

}  // namespace beamline::engine::tables
