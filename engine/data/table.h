// Columns of the same length under different names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/data/column.h"

namespace beamline::engine::data {

// Cheap to copy, immutable, safe to read from any number of threads.
class Table {
 public:
  Table() = default;
  // Throws Error if two columns have the same name, one has none, or lengths differ.
  explicit Table(std::vector<Column> columns);

  int64_t rows() const { return columns_.empty() ? 0 : columns_.front().rows(); }
  const std::vector<Column>& columns() const { return columns_; }

  // The column of that name. Throws Error, with the nearest name there is, if none has it.
  const Column& Get(std::string_view name) const;
  // Null if there is none.
  const Column* Find(std::string_view name) const;

 private:
  std::vector<Column> columns_;
  std::unordered_map<std::string, size_t> index_;
};

// "row 17" in messages is the data row, counted from 1; 0-based row indices come in.
std::string RowName(int64_t row);

}  // namespace beamline::engine::data
