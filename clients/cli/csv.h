// Cells of tables in CSV (RFC 4180).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace beamline::cli {

// The shortest text that gives the same number again.
std::string ExactNumber(double value);

// Quoted if it has to be.
std::string CsvCell(std::string_view text);

// One line with its end. Cells are written as they are.
std::string CsvLine(const std::vector<std::string>& cells);

}  // namespace beamline::cli
