#include "engine/data/csv_field.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/data/text.h"

namespace beamline::engine::data {

const char* CsvFieldReader::Failed(std::string message) {
  error_ = std::move(message);
  return nullptr;
}

const char* CsvFieldReader::Stop(const char* p, const char* end, CsvField& field) const {
  if (p == end) {
    field.stop = CsvField::Stop::kEnd;
    return p;
  }
  if (*p == delimiter_) {
    field.stop = CsvField::Stop::kDelimiter;
    return p + 1;
  }
  if (*p == '\r' && end - p >= 2 && p[1] == '\n') ++p;
  if (*p != '\n') return nullptr;
  field.stop = CsvField::Stop::kLine;
  return p + 1;
}

const char* CsvFieldReader::Read(const char* p, const char* end, CsvField& field) {
  field.lines = 0;
  while (p != end && IsBlank(*p)) ++p;
  field.quoted = p != end && *p == '"';
  return field.quoted ? ReadQuoted(p + 1, end, field) : ReadPlain(p, end, field);
}

const char* CsvFieldReader::ReadQuoted(const char* p, const char* end, CsvField& field) {
  const char* start = p;
  bool escaped = false;
  while (true) {
    const auto* quote = static_cast<const char*>(std::memchr(p, '"', static_cast<size_t>(end - p)));
    const char* const piece_end = quote == nullptr ? end : quote;
    if (static_cast<size_t>(piece_end - p) + (escaped ? unescaped_.size() : 0) > max_field_bytes_) {
      return Failed(Cat("a quoted field is longer than ", max_field_bytes_,
                        " bytes: close its quote, or raise max_field_bytes"));
    }
    if (quote == nullptr) {
      return Failed(
          "a quoted field is not closed: add the closing quote, or double a quote that "
          "belongs to the text");
    }
    const bool doubled = end - quote >= 2 && quote[1] == '"';
    if (doubled && !escaped) unescaped_.clear();
    if (doubled || escaped) unescaped_.append(start, quote + (doubled ? 1 : 0));
    if (doubled) {
      escaped = true;
      p = start = quote + 2;
      continue;
    }
    field.text = escaped ? std::string_view(unescaped_)
                         : std::string_view(start, static_cast<size_t>(quote - start));
    p = quote + 1;
    break;
  }
  field.lines = std::count(field.text.begin(), field.text.end(), '\n');
  while (p != end && IsBlank(*p)) ++p;
  const char* const next = Stop(p, end, field);
  if (next != nullptr) return next;
  return Failed(Cat("text follows the closing quote of ", Quoted(field.text),
                    ": double a quote that belongs to the text"));
}

const char* CsvFieldReader::ReadPlain(const char* p, const char* end, CsvField& field) {
  const char* const start = p;
  while (p != end && *p != delimiter_ && *p != '\n' && *p != '"' && *p != '\r') ++p;
  const char* stop = p;
  while (stop != start && IsBlank(stop[-1])) --stop;
  field.text = std::string_view(start, static_cast<size_t>(stop - start));
  if (field.text.size() > max_field_bytes_) {
    return Failed(Cat("a field is longer than ", max_field_bytes_,
                      " bytes: is this the right delimiter? If so, raise max_field_bytes"));
  }
  if (p != end && *p == '"') {
    return Failed(Cat("a quote inside the unquoted field ", Quoted(field.text),
                      ": put the whole field into quotes and double the quote"));
  }
  if (p != end && *p == '\r' && p + 1 == end) ++p;  // the last line's CRLF lost its LF
  const char* const next = Stop(p, end, field);
  if (next != nullptr) return next;
  return Failed("a carriage return without a line feed: end lines with LF or CRLF");
}

const char* ReadCsvRow(CsvFieldReader& reader, const char* p, const char* end, int64_t max_columns,
                       std::vector<CsvCell>& cells) {
  cells.clear();
  CsvField field;
  do {
    p = reader.Read(p, end, field);
    if (p == nullptr) return nullptr;
    cells.push_back({std::string(field.text), field.quoted});
  } while (field.stop == CsvField::Stop::kDelimiter &&
           static_cast<int64_t>(cells.size()) <= max_columns);
  return p;
}

}  // namespace beamline::engine::data
