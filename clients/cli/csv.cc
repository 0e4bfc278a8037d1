#include "clients/cli/csv.h"

#include <charconv>
#include <iterator>

#include "absl/strings/str_join.h"

namespace beamline::cli {

std::string ExactNumber(double value) {
  char text[32];
  const auto end = std::to_chars(std::begin(text), std::end(text), value);
  return {text, end.ptr};
}

std::string CsvCell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string cell = "\"";
  for (const char c : text) {
    cell += c;
    if (c == '"') cell += c;
  }
  return cell + "\"";
}

std::string CsvLine(const std::vector<std::string>& cells) {
  return absl::StrJoin(cells, ",") + "\r\n";
}

}  // namespace beamline::cli
