// The grammar of CSV: one field at a time (RFC 4180, section 2). Internal to the CSV reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::engine::data {

struct CsvField {
  enum class Stop : uint8_t {
    kDelimiter,  // another field of the row follows
    kLine,       // a line end
    kEnd,        // the end of the bytes
  };
  std::string_view text;  // without quotes and surrounding blanks
  bool quoted = false;
  Stop stop = Stop::kEnd;
  int64_t lines = 0;  // line ends within the quotes
};

// Reads fields one after the other. Not thread-safe.
class CsvFieldReader {
 public:
  CsvFieldReader(char delimiter, int64_t max_field_bytes)
      : delimiter_(delimiter), max_field_bytes_(static_cast<size_t>(max_field_bytes)) {}

  // Reads the field at `p` and returns where the next one starts. Null if there is an error;
  // error() says which. `field.text` is valid until the next call, and as long as the bytes.
  const char* Read(const char* p, const char* end, CsvField& field);
  const std::string& error() const { return error_; }

 private:
  const char* ReadQuoted(const char* p, const char* end, CsvField& field);
  const char* ReadPlain(const char* p, const char* end, CsvField& field);
  // Takes the delimiter or line end at `p`; null, without an error set, if there is neither.
  const char* Stop(const char* p, const char* end, CsvField& field) const;
  const char* Failed(std::string message);
  bool IsBlank(char c) const { return (c == ' ' || c == '\t') && c != delimiter_; }

  char delimiter_;
  size_t max_field_bytes_;
  std::string unescaped_;
  std::string error_;
};

// Where the row that starts at `p` ends, and its fields as strings. Null if it has an error.
struct CsvCell {
  std::string text;
  bool quoted = false;
};
const char* ReadCsvRow(CsvFieldReader& reader, const char* p, const char* end, int64_t max_columns,
                       std::vector<CsvCell>& cells);

}  // namespace beamline::engine::data
