#include "clients/cli/rows.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "clients/cli/exit_code.h"
#include "clients/cli/format.h"
#include "google/protobuf/util/json_util.h"

namespace beamline::cli {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

// Takes records off a CSV text one by one.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view place) : text_(text), place_(place) {}

  bool AtEnd() const { return position_ >= text_.size(); }
  int line() const { return line_; }

  absl::StatusOr<std::vector<std::string>> Next() {
    std::vector<std::string> cells;
    while (true) {
      ASSIGN_OR_RETURN(std::string cell, Cell());
      cells.push_back(std::move(cell));
      if (AtEnd()) return cells;
      const char c = text_[position_++];
      if (c == ',') continue;
      if (c == '\r' && !AtEnd() && text_[position_] == '\n') ++position_;
      ++line_;
      return cells;
    }
  }

 private:
  absl::StatusOr<std::string> Cell() {
    if (AtEnd() || text_[position_] != '"') {
      const size_t end = std::min(text_.find_first_of(",\r\n", position_), text_.size());
      std::string cell(text_.substr(position_, end - position_));
      position_ = end;
      return cell;
    }
    const int first_line = line_;
    std::string cell;
    for (++position_; !AtEnd(); ++position_) {
      const char c = text_[position_];
      if (c != '"') {
        line_ += c == '\n';
        cell += c;
      } else if (position_ + 1 < text_.size() && text_[position_ + 1] == '"') {
        cell += c;
        ++position_;
      } else {
        ++position_;
        if (AtEnd() || text_.find_first_of(",\r\n", position_) == position_) return cell;
        return UsageError(absl::StrFormat("%s:%d: text follows a closing quote", place_, line_));
      }
    }
    return UsageError(absl::StrFormat("%s:%d: the quote is never closed", place_, first_line));
  }

  const std::string_view text_;
  const std::string_view place_;
  size_t position_ = 0;
  int line_ = 1;
};

Value CellValue(const std::string& cell) {
  Value value;
  double number = 0;
  if (cell.empty()) {
    value.set_null_value(google::protobuf::NULL_VALUE);
  } else if (absl::SimpleAtod(cell, &number)) {
    value.set_number_value(number);
  } else {
    value.set_string_value(cell);
  }
  return value;
}

absl::StatusOr<std::vector<Struct>> ParseCsv(std::string_view text, std::string_view place) {
  CsvReader reader(text, place);
  ASSIGN_OR_RETURN(const std::vector<std::string> header, reader.Next());
  std::vector<Struct> rows;
  while (!reader.AtEnd()) {
    const int line = reader.line();
    ASSIGN_OR_RETURN(const std::vector<std::string> cells, reader.Next());
    if (cells.size() == 1 && cells[0].empty()) continue;
    if (cells.size() != header.size()) {
      return UsageError(absl::StrFormat("%s:%d: the row has %d cells, the header %d", place, line,
                                        cells.size(), header.size()));
    }
    Struct& row = rows.emplace_back();
    for (size_t i = 0; i < cells.size(); ++i) {
      (*row.mutable_fields())[header[i]] = CellValue(cells[i]);
    }
  }
  return rows;
}

}  // namespace

absl::StatusOr<Struct> ParseRow(std::string_view json, std::string_view place) {
  Struct row;
  const auto status = google::protobuf::util::JsonStringToMessage(
      google::protobuf::StringPiece(json.data(), json.size()), &row);
  if (!status.ok()) {
    return UsageError(absl::StrFormat(
        "%s: not a JSON object (%s); write it as '{\"column\": 1.5, \"other\": \"text\"}'", place,
        status.message().ToString()));
  }
  return row;
}

absl::StatusOr<std::vector<Struct>> ParseRows(std::string_view text, std::string_view place) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (const size_t at = FindInvalidUtf8(text); at != std::string_view::npos) {
    return UsageError(absl::StrFormat("%s: the text is not UTF-8 from byte %d on", place, at));
  }
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    return UsageError(absl::StrFormat("%s: there are no rows", place));
  }
  if (text[first] != '{') return ParseCsv(text, place);
  std::vector<Struct> rows;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(A(text), '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    ASSIGN_OR_RETURN(Struct row, ParseRow(S(line), absl::StrFormat("%s:%d", place, number)));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace beamline::cli
