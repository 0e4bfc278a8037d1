// The columnar file: one immutable file that holds a typed table, its schema and its statistics,
// and is read by mapping it. docs/formats.md has the bytes, with a worked example.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/statistics.h"
#include "engine/data/table.h"

namespace beamline::engine::data {

// A table as it lies in a columnar file. The columns keep the mapping alive.
struct Dataset {
  Table table;
  std::vector<ColumnStatistics> statistics;          // one for each column
  std::vector<std::vector<ChunkStatistics>> chunks;  // [column][chunk]
};

// Writes the file piece by piece through `write`, which is called in order and may throw.
// The bytes depend only on the table's content. Statistics are computed on the way, on `threads`
// threads, and returned.
std::vector<ColumnStatistics> WriteColumnar(const Table& table,
                                            const std::function<void(std::string_view)>& write,
                                            int threads = 1);

struct OpenOptions {
  // Check every chunk against its checksum, and that codes and bools are in range. Costs one pass
  // over the file (some GB/s). Leave it off only for a file whose digest was just checked; reading
  // stays within bounds either way.
  bool verify = true;
  int threads = 1;
};

// Maps the file. Throws Error if it cannot be opened, is no columnar file, is of a later version,
// truncated or damaged; says which. The file must not be changed while it is mapped: nothing
// in this project does.
Dataset OpenColumnar(const std::string& path, const OpenOptions& options = {});

// The same, of bytes in memory (aligned to 64 bytes), which `owner` keeps alive.
Dataset ParseColumnar(std::string_view bytes, std::shared_ptr<const void> owner,
                      const OpenOptions& options = {});

}  // namespace beamline::engine::data
