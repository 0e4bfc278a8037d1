// Pairs of rows of two tables that agree in some columns.
#pragma once

#include <string>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::tables {

struct Pairs {
  data::Array<int64_t> left;
  data::Array<int64_t> right;  // kNoRow: the left row has no partner
};

// In the order of the left rows, and of the right ones within. A missing value agrees with none.
// `keep`: left rows without a partner stay. The columns have the same names and types in both and
// one value a row. Throws Error if there is no room for the pairs.
Pairs JoinRows(const data::Table& left, const data::Table& right,
               const std::vector<std::string>& on, bool keep, data::Workspace& workspace);

}  // namespace beamline::engine::tables
