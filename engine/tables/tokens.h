// Words and characters of texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::tables {

// Runs of letters and digits in lower case; other characters but white space alone.
std::vector<std::string> Words(std::string_view text);
// Code points; white space too.
std::vector<std::string> Characters(std::string_view text);

struct Tokens {
  data::Array<int64_t> rows;  // the row that each is from, ascending
  data::Column column;
};
// All tokens of a column of texts, as a categorical column. A row without a text has none.
Tokens Tokenise(const data::Column& column, bool words, std::string name,
                data::Workspace& workspace);

}  // namespace beamline::engine::tables
