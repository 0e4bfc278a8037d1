// Tables as CSV.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/data/table.h"

namespace beamline::pipeline {

// RFC 4180, with a header unless this goes on behind another table, piece by piece. Columns are
// plain (item_size 1).
void ToCsv(const engine::data::Table& table, const std::function<void(std::string_view)>& write,
           bool header = true);
std::string ToCsv(const engine::data::Table& table);

// To a file, which is on the disk then. `between`: called between pieces of a MiB; may throw.
// Throws engine::Error if it cannot be written.
void WriteCsv(const engine::data::Table& table, const std::string& path,
              const std::function<void()>& between = {});

}  // namespace beamline::pipeline
