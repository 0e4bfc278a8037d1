// One value for each group of rows.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/workspace.h"
#include "engine/tables/rows.h"

namespace beamline::engine::tables {

// Each leaves missing values out; without any value the result is missing, but for kCount and kSum.
enum class Aggregate : uint8_t {
  kCount,  // values that are there
  kSum,    // of whole numbers and bools whole, else a double
  kMean,
  kMin,  // of the column's type; texts by their bytes
  kMax,
  kStd,    // of a sample: divided by one less than the number of values
  kFirst,  // in the order of the rows
  kLast,
  kMedian,  // of an even number of values the mean of the two in the middle
};
// "mean"; empty for none.
std::string_view NameOf(Aggregate aggregate);
// False if there is none of that name.
bool FindAggregate(std::string_view name, Aggregate* aggregate);
std::vector<std::string> AggregateNames();
// Whether there is one of such values: of texts count, min, max, first and last.
bool Takes(Aggregate aggregate, data::ColumnType type);
// The type of the result.
data::ColumnType ResultOf(Aggregate aggregate, data::ColumnType type);

// One value for each number, of the rows that have it, in the order of the rows: the same bits for
// any number of threads. A sum of whole numbers beyond int64 is missing. Precondition: Takes.
data::Column AggregateRows(Aggregate aggregate, const data::Column& column, const Numbered& groups,
                           std::string name, data::Workspace& workspace);
// Rows of each number.
data::Column CountRows(const Numbered& groups, std::string name, data::Workspace& workspace);

}  // namespace beamline::engine::tables
