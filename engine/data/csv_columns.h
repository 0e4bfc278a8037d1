// Typed pieces of a CSV file put together into columns. Internal.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/csv_piece.h"
#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

// Collects pieces in the order of the file. What is collected lies in arrays of a workspace, but
// for pieces of some megabytes, and categories. Not thread-safe.
class CsvColumns {
 public:
  // `plan` and `workspace` must outlive it. `max_categories` as in CsvOptions. Pieces are put
  // together once they have `stripe_bytes` of cells.
  CsvColumns(CsvPlan& plan, std::vector<std::string> names, int64_t max_categories,
             int64_t stripe_bytes, Workspace& workspace);

  // Takes the next piece. Also lets later pieces of the plan start as text where this one ended so.
  // Throws Error if a column has too many categories, NoRoom as the workspace does.
  void Add(CsvPiece piece);
  int64_t rows() const { return rows_; }

  // True if a column turned out to be text after values of it were stored as something else: the
  // plan now says so, and the file must be read again with it.
  bool MustReadAgain() const { return again_; }

  // The columns. Inferred fractions become `float_type`. Gives up what was collected on the way.
  // Throws Error if a number is too large for float32, naming the row; NoRoom.
  Table Finish(ColumnType float_type);

 private:
  struct Collected {
    CsvKind kind = CsvKind::kEmpty;
    bool stored_other = false;  // some piece holds values that are not text
    bool missing = false;       // some row of a stripe has no value; of integers and bools
    StringPool categories;      // of all pieces
  };
  struct Part {
    int64_t rows = 0;
    std::vector<CsvPieceColumn> columns;
    std::vector<std::vector<int32_t>> codes;  // [column][code in the piece] -> code in Collected
  };
  // Rows of several pieces: cells as a piece has them, but codes are those of Collected.
  struct Stripe {
    int64_t rows = 0;
    std::vector<CsvKind> kinds;  // of each column
    Array<int64_t> cells;        // [columns, rows]
  };
  // Where a finished column is in an array that it shares. Unit: bytes.
  struct Place {
    ColumnType type = ColumnType::kFloat64;
    int64_t values = 0;
    int64_t validity = -1;  // negative: no value is missing
    int64_t end = 0;
  };

  void AddText(size_t c, CsvPieceColumn& column, std::vector<int32_t>& codes);
  void MakeStripe();
  void FillColumn(size_t c, Stripe& stripe);
  ColumnType TypeOf(size_t c, ColumnType float_type) const;
  Place PlaceColumn(size_t c, ColumnType type, int64_t at) const;
  Column FinishColumn(size_t c, const Place& place, const Array<std::byte>& storage) const;
  std::shared_ptr<const std::vector<std::string>> FinishText(size_t c, int32_t* out) const;
  template <typename T>
  void FinishFloats(size_t c, T* out) const;
  template <typename T>
  void FinishIntegers(size_t c, T* out, uint8_t* validity) const;

  CsvPlan& plan_;
  std::vector<std::string> names_;
  const int64_t max_categories_;
  const int64_t stripe_bytes_;
  Workspace& workspace_;
  int64_t rows_ = 0;
  bool again_ = false;
  std::vector<Collected> collected_;
  std::vector<Part> parts_;  // that are in no stripe yet
  int64_t part_rows_ = 0;
  std::vector<Stripe> stripes_;
};

}  // namespace beamline::engine::data
