#include "engine/data/edge_list.h"

#include <cstdint>

#include "engine/core/error.h"
#include "engine/data/text_lines.h"

namespace beamline::engine::data {
namespace {

void AppendField(std::string_view word, std::string* out) {
  if (word.find('"') == std::string_view::npos) {
    *out += word;
    return;
  }
  *out += '"';
  for (const char c : word) {
    *out += c;
    if (c == '"') *out += c;
  }
  *out += '"';
}

// The same arcs as CSV between tabs, and how many words a line has. Lines that say nothing stay as
// empty ones, so that messages count lines as the file has them.
std::string ToTabs(std::string_view text, int64_t* words) {
  std::string tabs;
  tabs.reserve(text.size());
  TextLines lines(text);
  *words = 0;
  for (std::string_view line; lines.Next(&line); tabs += '\n') {
    if (line.empty() || line.front() == '#' || line.front() == '%') continue;
    int64_t count = 0;
    for (; !line.empty(); ++count) {
      if (count > 0) tabs += '\t';
      AppendField(TakeWord(&line), &tabs);
    }
    if (*words == 0) *words = count;
    if (count < 2) Fail("line ", lines.number(), ": an arc needs a source and a target");
    if (count != *words) {
      Fail("line ", lines.number(), ": has ", count, " words, but the first arc has ", *words);
    }
  }
  if (*words == 0) throw Error("there are no arcs");
  return tabs;
}

}  // namespace

Table ReadEdgeList(std::string_view text, const CsvOptions& options) {
  int64_t words = 0;
  const std::string tabs = ToTabs(text, &words);
  CsvOptions csv = options;
  csv.header = CsvHeader::kAbsent;
  csv.delimiter = '\t';
  if (csv.names.empty()) {
    csv.names = {"source", "target"};
    if (words > 2) csv.names.emplace_back("weight");
    for (int64_t k = 3; k < words; ++k) csv.names.push_back(Cat("c", k));
  }
  return ReadCsv(tabs, csv);
}

}  // namespace beamline::engine::data
