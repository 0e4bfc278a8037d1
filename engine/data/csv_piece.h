// One piece of a CSV file, whole rows, parsed into typed cells by one thread. Internal.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/column.h"
#include "engine/data/string_pool.h"

namespace beamline::engine::data {

// What the values of a column have in common so far.
enum class CsvKind : uint8_t { kEmpty, kBool, kInteger, kFloat, kText };

// The kind that holds values of both: the least upper bound, hence independent of order.
CsvKind JoinKinds(CsvKind a, CsvKind b);

// A missing integer or bool in a cell; integers of the file are greater.
inline constexpr int64_t kMissingInteger = std::numeric_limits<int64_t>::min();

// The cell of a missing value in a column of that kind.
int64_t MissingCell(CsvKind kind);

struct CsvColumnPlan {
  CsvKind start = CsvKind::kEmpty;  // kText: keep every value as text
  bool fixed = false;               // the type was given: another kind of value is an error
  ColumnType type = ColumnType::kFloat64;
  int64_t least = kMissingInteger + 1;  // of integers
  int64_t most = std::numeric_limits<int64_t>::max();
};

// What all pieces share. Read-only while they are parsed.
struct CsvPlan {
  char delimiter = ',';
  int64_t max_field_bytes = 0;
  StringPool missing;
  std::vector<CsvColumnPlan> columns;
};

struct CsvPieceColumn {
  CsvKind kind = CsvKind::kEmpty;
  // An earlier value was stored as something other than text: the cells are worthless, the column
  // must be read again as text.
  bool broken = false;
  // By kind: integers, doubles' bits, or numbers in `categories` (-1 missing). Unset if kEmpty.
  std::unique_ptr<int64_t[]> cells;
  StringPool categories;
};

struct CsvPiece {
  int64_t rows = 0;
  int64_t lines = 0;
  std::vector<CsvPieceColumn> columns;
  // The first error, if `error` is not empty; the rest of the piece is then unread.
  std::string error;
  int64_t error_line = 0;    // within the piece, from 0: where the row starts
  int64_t error_column = 0;  // -1: the whole row
};

// Throws nothing but std::bad_alloc.
CsvPiece ParseCsvPiece(const CsvPlan& plan, std::string_view text);

}  // namespace beamline::engine::data
