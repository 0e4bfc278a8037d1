// Numbers, sizes and times as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace beamline::cli {

// "0 B", "999 B", "1.5 KiB", "23 MiB": binary units, three digits at most.
std::string HumanBytes(int64_t bytes);

// "950", "12.3 k", "1.20 M": decimal units.
std::string HumanCount(double count);

// "3.10 M rows x 12 columns".
std::string TableSize(int64_t rows, int64_t columns);

// "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h".
std::string HumanDuration(absl::Duration duration);

// "just now", "12 s ago", "3 min ago", "2 h ago", "5 d ago", "in 3 h"; "-" for the infinite past.
std::string RelativeTime(absl::Time time, absl::Time now);

// At most `digits` significant digits, without trailing zeros: "0.8123", "1e-05".
std::string HumanNumber(double value, int digits = 4);

// "90s", "15m", "12h", "30d" after `now`, or a time as RFC 3339 writes it. UsageError otherwise.
absl::StatusOr<absl::Time> ParseExpiry(std::string_view text, absl::Time now);

// The same before `now`: "15m" is a quarter of an hour ago.
absl::StatusOr<absl::Time> ParsePast(std::string_view text, absl::Time now);

// Last part of a resource name: "projects/p/runs/r" -> "r".
std::string LastPart(std::string_view resource_name);

// Columns that `text` (UTF-8) takes on a terminal, as far as Latin, symbols and box drawing go:
// one each code point.
size_t DisplayWidth(std::string_view text);

// Without control characters, so that what users named cannot steer the terminal: they become '?'.
// Tabs stay.
std::string Printable(std::string_view text);

// Where `text` stops being UTF-8 (RFC 3629), in bytes; npos if it is UTF-8 all through.
size_t FindInvalidUtf8(std::string_view text);

}  // namespace beamline::cli
