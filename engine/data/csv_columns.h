// Typed pieces of a CSV file put together into columns. Internal.
#pragma once

#include <string>
#include <vector>

#include "engine/core/thread_pool.h"
#include "engine/data/csv_piece.h"
#include "engine/data/table.h"

namespace beamline::engine::data {

// Collects pieces in the order of the file. Not thread-safe.
class CsvColumns {
 public:
  // `plan` must outlive it. `max_categories` as in CsvOptions.
  CsvColumns(CsvPlan& plan, std::vector<std::string> names, int64_t max_categories);

  // Takes the next piece. Also lets later pieces of the plan start as text where this one ended so.
  // Throws Error if a column has too many categories.
  void Add(CsvPiece piece);
  int64_t rows() const { return rows_; }

  // True if a column turned out to be text after values of it were stored as something else: the
  // plan now says so, and the file must be read again with it.
  bool MustReadAgain() const { return again_; }

  // The columns. Inferred fractions become `float_type`. Frees the pieces on the way. Throws Error
  // if a number is too large for float32, naming the row.
  Table Finish(ColumnType float_type, ThreadPool& pool);

 private:
  struct Collected {
    CsvKind kind = CsvKind::kEmpty;
    bool stored_other = false;  // some piece holds values that are not text
    StringPool categories;      // of all pieces
  };
  struct Part {
    int64_t rows = 0;
    std::vector<CsvPieceColumn> columns;
    std::vector<std::vector<int32_t>> codes;  // [column][code in the piece] -> code in Collected
  };

  void AddText(size_t c, CsvPieceColumn& column, std::vector<int32_t>& codes);
  Column FinishColumn(size_t c, ColumnType type);
  Column FinishText(size_t c);
  template <typename T>
  Column FinishFloats(size_t c);
  template <typename T>
  Column FinishIntegers(size_t c, ColumnType type);

  CsvPlan& plan_;
  std::vector<std::string> names_;
  const int64_t max_categories_;
  int64_t rows_ = 0;
  bool again_ = false;
  std::vector<Collected> collected_;
  std::vector<Part> parts_;
};

}  // namespace beamline::engine::data
