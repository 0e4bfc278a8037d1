// Turns what a task writes on its standard error and output into log lines, within bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::worker {

// Longer lines are cut into several. Unit: bytes.
inline constexpr size_t kMaxLineBytes = 16 << 10;

// `text` with every byte that is not part of valid UTF-8 replaced by U+FFFD and control characters
// other than tabs removed: fit for a proto string and for a terminal.
std::string CleanText(std::string_view text);

// Cuts a stream of bytes into lines. Not thread-safe.
class LineSplitter {
 public:
  // The lines that `bytes` complete, cleaned, without their ends, none longer than kMaxLineBytes.
  std::vector<std::string> Append(std::string_view bytes);
  // What remains without an end of line.
  std::vector<std::string> Finish();

 private:
  std::string partial_;
};

// Lets through at most `burst` lines at once and `per_second` on average, and so many bytes of
// each, so that a task that floods its log harms neither the network nor the store. Not
// thread-safe.
class LogBudget {
 public:
  struct Limits {
    int64_t burst_lines = 2'000;
    int64_t lines_per_second = 200;
    int64_t burst_bytes = 1 << 20;
    int64_t bytes_per_second = 128 << 10;
  };
  LogBudget() : LogBudget(Limits{}) {}
  explicit LogBudget(Limits limits);

  // True if a line of `bytes` may pass at `now_ms` (milliseconds, monotonic).
  bool Take(size_t bytes, int64_t now_ms);
  // Lines refused since the last call.
  int64_t TakeDropped();

 private:
  Limits limits_;
  // In thousandths of a line or byte.
  int64_t line_millis_;
  int64_t byte_millis_;
  int64_t last_ms_ = -1;
  int64_t dropped_ = 0;
};

// The last lines of a stream, for the message of a crash. Not thread-safe.
class LastLines {
 public:
  void Add(std::string_view line);
  // At most 5 lines of 300 bytes each, joined by " | "; empty if there were none.
  std::string Text() const;

 private:
  std::deque<std::string> lines_;
};

}  // namespace beamline::worker
