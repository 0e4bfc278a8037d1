// The shape of a CSV file, from its first bytes: delimiter, header, names of the columns. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/csv.h"

namespace beamline::engine::data {

// So many bytes of the file are looked at, and at most so many rows.
inline constexpr size_t kCsvHeadBytes = size_t{8} << 20;
inline constexpr int kCsvHeadRows = 100;

struct CsvHead {
  char delimiter = ',';
  std::vector<std::string> names;
  int64_t data_offset = 0;  // where the first data row starts, in bytes
  int64_t data_line = 0;    // its line, from 0
};

// `head`: the first kCsvHeadBytes of the file, or all of it if `whole`. Throws Error for an empty
// file, another encoding than UTF-8, a header without data, a bad name, too many columns.
CsvHead ReadCsvHead(std::string_view head, bool whole, const CsvOptions& options);

}  // namespace beamline::engine::data
