// Aligned tables of text.
#pragma once

#include <string>
#include <vector>

namespace beamline::cli {

// Rows of cells under a header. Not thread-safe.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // Missing cells are empty; cells beyond the columns are dropped. Control characters become '?'.
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }

  // Two spaces between columns, no space at the ends of lines; ends with a newline.
  // `with_header`: false for rows only.
  std::string Render(bool with_header = true) const;

 private:
  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace beamline::cli
