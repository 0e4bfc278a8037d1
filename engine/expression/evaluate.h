// An expression over the rows of a table.
#pragma once

#include <string>

#include "engine/data/table.h"
#include "engine/data/workspace.h"
#include "engine/expression/program.h"

namespace beamline::engine::expression {

// The table's columns as Compile wants them.
std::vector<ColumnInfo> SchemaOf(const data::Table& table);

// A column of the values, one for each row. `program` was compiled for the table's schema. Throws
// Error if the table lacks a column, or there is no room. The same bytes for any number of threads.
data::Column Evaluate(const Program& program, const data::Table& table, std::string name,
                      data::Workspace& workspace);

// The rows for which the program, which gives true or false, is true; ascending.
data::Array<int64_t> RowsWhere(const Program& program, const data::Table& table,
                               data::Workspace& workspace);

}  // namespace beamline::engine::expression
