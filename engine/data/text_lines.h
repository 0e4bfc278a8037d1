// Lines of a text, for readers of formats made of lines. Internal to them.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/data/number.h"
#include "engine/data/text.h"

namespace beamline::engine::data {

// Lines end with LF or CRLF. Not thread-safe.
class TextLines {
 public:
  explicit TextLines(std::string_view text) : rest_(text) {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
  }

  // False at the end. A line without blanks at its ends.
  bool Next(std::string_view* line) {
    if (rest_.empty()) return false;
    const size_t end = rest_.find('\n');
    *line = Trimmed(rest_.substr(0, end));
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++number_;
    return true;
  }
  // Of the line that was given last, from 1.
  int64_t number() const { return number_; }

  static std::string_view Trimmed(std::string_view text) {
    constexpr std::string_view kBlanks = " \t\r";
    const size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  }

 private:
  std::string_view rest_;
  int64_t number_ = 0;
};

// Takes the text up to `mark` from `rest`, and the mark; all of it if there is none.
inline std::string_view TakeUntil(std::string_view* rest, char mark) {
  const size_t end = rest->find(mark);
  const std::string_view piece = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  return piece;
}

// Takes the next word from `rest`, which is trimmed: up to a blank.
inline std::string_view TakeWord(std::string_view* rest) {
  const std::string_view word = rest->substr(0, rest->find_first_of(" \t"));
  rest->remove_prefix(word.size());
  *rest = TextLines::Trimmed(*rest);
  return word;
}

}  // namespace beamline::engine::data
