// CSV (RFC 4180) into a typed table.
//
// Accepted: fields in double quotes with "" for a quote, delimiters and line ends inside quotes;
// lines that end with LF, CRLF, or the end of the file; a UTF-8 byte order mark; blanks (space,
// tab) around unquoted fields, which are dropped; empty lines, which are skipped (not in a file of
// one column, where they are missing values).
//
// Types are inferred from the whole column, not from its first rows:
//   bool         every value is true or false, in any case
//   int64        every value is an integer that fits
//   float64      every value is a number ("inf" counts, hexadecimal does not)
//   categorical  all else
// A column without any value is float64, all missing. A quoted number is a number. A type may be
// given instead; then a value that does not fit is an error that names line and column.
//
// The table depends only on the bytes and the options: not on threads, not on block_bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/source.h"
#include "engine/data/table.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

enum class CsvHeader {
  kDetect,  // present if no field of the first line is a number and later lines differ in kind
  kPresent,
  kAbsent,  // columns are called c0, c1, ...
};

struct CsvOptions {
  CsvHeader header = CsvHeader::kDetect;
  // 0: comma, semicolon or tab, whichever splits the first lines evenly into most fields.
  char delimiter = 0;
  // Fields, unquoted, that mean "no value". Compared exactly, after blanks are dropped. A quoted
  // field is missing only if it is empty.
  std::vector<std::string> missing = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"};
  // Types by column name, for columns whose type should not be inferred.
  std::map<std::string, ColumnType, std::less<>> types;
  // Names of the columns; overrides the header's (which is still skipped if present).
  std::vector<std::string> names;
  // What inferred fractions are stored as: kFloat64 or kFloat32.
  ColumnType float_type = ColumnType::kFloat64;

  // Limits. Reaching one is an error that names it.
  int64_t max_columns = 100'000;
  int64_t max_rows = int64_t{1} << 40;
  int64_t max_field_bytes = int64_t{1} << 20;
  // Different values of a categorical column.
  int64_t max_categories = 1'000'000;

  // Of a reading that is given no workspace.
  int threads = 1;
  // Text parsed by one thread at a time. Smaller is only slower; tests use it.
  int64_t block_bytes = int64_t{1} << 20;
};

// Reads all of `source`, which is rewound if a late value changes the type of a column.
// Throws Error for: an empty file, a header without data, rows of differing length, a quote inside
// an unquoted field, an unterminated quote, a NUL byte, invalid UTF-8, an empty or repeated column
// name, a value that is not of the type given, an option naming no column, a limit. The message
// names line, data row and column, as in
//   line 17 (row 16), column "pt": "abc" is not a number
// and is that of the first such place in the file.
//
// The table's values, and what is collected before they are known to fit a type, are arrays of
// `workspace`, 8 bytes a value and the column's own beside: beyond them there are only some blocks
// of text per thread, and categories. NoRoom if they do not fit.
Table ReadCsv(ByteSource& source, const CsvOptions& options, Workspace& workspace);

// The same in memory, on `options.threads`.
Table ReadCsv(ByteSource& source, const CsvOptions& options = {});

// The same, of bytes in memory.
Table ReadCsv(std::string_view bytes, const CsvOptions& options = {});

}  // namespace beamline::engine::data
