#include "engine/data/csv_head.h"

#include <algorithm>
#include <unordered_set>

#include "engine/core/error.h"
#include "engine/data/csv_field.h"
#include "engine/data/number.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

using Row = std::vector<CsvCell>;

bool IsEmptyLine(std::string_view rest) {
  return rest.starts_with('\n') || rest.starts_with("\r\n");
}

// The first rows, without empty lines and without a row that the end of the head cuts off.
std::vector<Row> SampleRows(std::string_view head, bool whole, char delimiter,
                            const CsvOptions& options, int most) {
  std::vector<Row> rows;
  CsvFieldReader reader(delimiter, options.max_field_bytes);
  const char* p = head.data();
  const char* const end = p + head.size();
  while (p != end && static_cast<int>(rows.size()) < most) {
    if (IsEmptyLine({p, static_cast<size_t>(end - p)})) {
      p += *p == '\r' ? 2 : 1;
      continue;
    }
    Row row;
    p = ReadCsvRow(reader, p, end, options.max_columns, row);
    if (p == nullptr || (p == end && !whole && end[-1] != '\n')) break;
    rows.push_back(std::move(row));
  }
  return rows;
}

char DetectDelimiter(std::string_view head, bool whole, const CsvOptions& options) {
  char best = ',';
  size_t best_fields = 1;
  bool best_even = false;
  for (const char candidate : {',', ';', '\t'}) {
    const std::vector<Row> rows = SampleRows(head, whole, candidate, options, 20);
    if (rows.empty()) continue;
    const size_t fields = rows.front().size();
    const bool even =
        std::all_of(rows.begin(), rows.end(), [&](const Row& row) { return row.size() == fields; });
    if (fields > 1 && (even > best_even || (even == best_even && fields > best_fields))) {
      best = candidate;
      best_fields = fields;
      best_even = even;
    }
  }
  return best;
}

bool IsValue(const CsvCell& cell) {
  return ParseNumber(cell.text).kind != ScannedNumber::Kind::kNone || cell.text == "true" ||
         cell.text == "false";
}

bool IsMissing(const CsvCell& cell, const CsvOptions& options) {
  return cell.text.empty() ||
         (!cell.quoted && std::find(options.missing.begin(), options.missing.end(), cell.text) !=
                              options.missing.end());
}

// A first row is a header if it could be one (texts, all different) and either stands over a
// column of numbers or none of its texts is seen again in its column.
bool DetectHeader(const std::vector<Row>& rows, const CsvOptions& options) {
  std::unordered_set<std::string_view> names;
  for (const CsvCell& cell : rows.front()) {
    if (IsValue(cell) || IsMissing(cell, options) || !names.insert(cell.text).second) return false;
  }
  bool seen_again = false;
  for (size_t c = 0; c < rows.front().size(); ++c) {
    bool numbers = false, others = false;
    for (size_t r = 1; r < rows.size(); ++r) {
      if (c >= rows[r].size() || IsMissing(rows[r][c], options)) continue;
      (IsValue(rows[r][c]) ? numbers : others) = true;
      seen_again = seen_again || rows[r][c].text == rows.front()[c].text;
    }
    if (numbers && !others) return true;
  }
  return !seen_again;
}

void CheckNames(const std::vector<std::string>& names) {
  std::unordered_set<std::string_view> seen;
  for (size_t c = 0; c < names.size(); ++c) {
    if (names[c].empty()) {
      Fail("column ", c + 1, " of ", names.size(),
           " has no name: name it in the header, remove a delimiter at the end of the lines, or "
           "give names");
    }
    if (!IsValidUtf8(names[c]) || names[c].find('\0') != std::string::npos) {
      Fail("the name of column ", c + 1, ", ", Quoted(names[c]), ", is not valid UTF-8 text");
    }
    if (!seen.insert(names[c]).second) {
      Fail("two columns have the name ", Quoted(names[c]),
           ": rename one in the header, or give names");
    }
  }
}

// Length of a UTF-8 byte order mark, if there is one.
size_t CheckEncoding(std::string_view head) {
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF")) {
    throw Error("the file is UTF-16: convert it to UTF-8");
  }
  return head.starts_with("\xEF\xBB\xBF") ? 3 : 0;
}

}  // namespace

CsvHead ReadCsvHead(std::string_view head, bool whole, const CsvOptions& options) {
  CsvHead out;
  const size_t mark = CheckEncoding(head);
  const char* p = head.data() + mark;
  const char* const end = head.data() + head.size();
  while (p != end && IsEmptyLine({p, static_cast<size_t>(end - p)})) {
    p += *p == '\r' ? 2 : 1;
    ++out.data_line;
  }
  if (p == end && !whole) Fail("the first ", kCsvHeadBytes, " bytes of the file are empty lines");
  if (p == end) throw Error("the file is empty: it has no row");
  const std::string_view rest(p, static_cast<size_t>(end - p));
  out.delimiter =
      options.delimiter != 0 ? options.delimiter : DetectDelimiter(rest, whole, options);

  CsvFieldReader reader(out.delimiter, options.max_field_bytes);
  Row first;
  const char* const behind_first = ReadCsvRow(reader, p, end, options.max_columns, first);
  if (behind_first == nullptr) Fail("line ", out.data_line + 1, ": ", reader.error());
  if (static_cast<int64_t>(first.size()) > options.max_columns) {
    Fail("the file has more than ", options.max_columns,
         " columns: is this the right delimiter? If so, raise max_columns");
  }
  bool header = options.header == CsvHeader::kPresent;
  if (options.header == CsvHeader::kDetect) {
    const std::vector<Row> rows = SampleRows(rest, whole, out.delimiter, options, kCsvHeadRows);
    header = rows.empty() || DetectHeader(rows, options);
  }
  for (size_t c = 0; c < first.size(); ++c) {
    out.names.push_back(header ? first[c].text : Cat("c", c));
  }
  if (!options.names.empty()) {
    if (options.names.size() != first.size()) {
      Fail(options.names.size(), " names are given, but line ", out.data_line + 1, " has ",
           first.size(), " fields");
    }
    out.names = options.names;
  }
  CheckNames(out.names);
  if (header) {
    out.data_line += std::count(p, behind_first, '\n');
    p = behind_first;
    if (p == end && whole) throw Error("the file has a header but no data row");
  }
  out.data_offset = p - head.data();
  return out;
}

}  // namespace beamline::engine::data
