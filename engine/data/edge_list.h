// Arcs of a graph as a table of text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/data/csv.h"
#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

// "source target", and more if each line has more, between blanks or tabs; lines that begin with #
// or % say nothing. Columns "source", "target", "weight", "c3", ... or as `options.names` says;
// their types are found as in CSV, from all values, and so are limits and missing values. Throws
// Error, naming the line, for one that has another number of words than the first, or only one.
// Memory is as ReadCsv says; without a workspace, the table is in memory.
Table ReadEdgeList(std::string_view text, const CsvOptions& options, Workspace& workspace);
Table ReadEdgeList(std::string_view text, const CsvOptions& options);

}  // namespace beamline::engine::data
