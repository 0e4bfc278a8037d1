#include "engine/data/edge_list.h"

#include <cstdint>

#include "engine/core/error.h"
#include "engine/data/text_lines.h"

namespace beamline::engine::data {
namespace {

bool IsSilent(std::string_view line) {
  return line.empty() || line.front() == '#' || line.front() == '%';
}

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

// How many words each arc has. Throws Error if they differ.
int64_t CountWords(std::string_view text) {
  int64_t words = 0;
  TextLines lines(text);
  for (std::string_view line; lines.Next(&line);) {
    if (IsSilent(line)) continue;
    int64_t count = 0;
    for (; !line.empty(); ++count) TakeWord(&line);
    if (words == 0) words = count;
    if (count < 2) Fail("line ", lines.number(), ": an arc needs a source and a target");
    if (count != words) {
      Fail("line ", lines.number(), ": has ", count, " words, but the first arc has ", words);
    }
  }
  if (words == 0) throw Error("there are no arcs");
  return words;
}

// The same arcs as CSV between tabs. Lines that say nothing stay as empty ones, so that messages
// count lines as the file has them.
class Tabs : public ByteSource {
 public:
  explicit Tabs(std::string_view text) : text_(text), lines_(text) {}

  size_t Read(char* buffer, size_t size) override {
    size_t done = 0;
    while (done < size && (used_ < made_.size() || MakeLine())) {
      const size_t copied = made_.copy(buffer + done, size - done, used_);
      used_ += copied;
      done += copied;
    }
    return done;
  }
  void Rewind() override {
    lines_ = TextLines(text_);
    made_.clear();
    used_ = 0;
  }

 private:
  bool MakeLine() {
    std::string_view line;
    if (!lines_.Next(&line)) return false;
    made_.clear();
    used_ = 0;
    if (!IsSilent(line)) {
      for (bool first = true; !line.empty(); first = false) {
        if (!first) made_ += '\t';
        AppendField(TakeWord(&line), &made_);
      }
    }
    made_ += '\n';
    return true;
  }

  const std::string_view text_;
  TextLines lines_;
  std::string made_;  // of the last line
  size_t used_ = 0;   // of it
};

}  // namespace

Table ReadEdgeList(std::string_view text, const CsvOptions& options, Workspace& workspace) {
  const int64_t words = CountWords(text);
  CsvOptions csv = options;
  csv.header = CsvHeader::kAbsent;
  csv.delimiter = '\t';
  if (csv.names.empty()) {
    csv.names = {"source", "target"};
    if (words > 2) csv.names.emplace_back("weight");
    for (int64_t k = 3; k < words; ++k) csv.names.push_back(Cat("c", k));
  }
  Tabs tabs(text);
  return ReadCsv(tabs, csv, workspace);
}

Table ReadEdgeList(std::string_view text, const CsvOptions& options) {
  Workspace workspace({.threads = options.threads});
  return ReadEdgeList(text, options, workspace);
}

}  // namespace beamline::engine::data
