#include "clients/cli/format.h"

#include <array>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "clients/cli/exit_code.h"

namespace beamline::cli {
namespace {

// Three significant digits: "1.23", "12.3", "123".
std::string ThreeDigits(double value) {
  if (value < 9.995) return absl::StrFormat("%.2f", value);
  if (value < 99.95) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.0f", value);
}

std::string CoarseDuration(absl::Duration duration) {
  if (duration < absl::Minutes(1)) {
    return absl::StrFormat("%d s", absl::ToInt64Seconds(duration));
  }
  if (duration < absl::Hours(1)) {
    return absl::StrFormat("%d min", absl::ToInt64Minutes(duration));
  }
  if (duration < absl::Hours(48)) return absl::StrFormat("%d h", absl::ToInt64Hours(duration));
  return absl::StrFormat("%d d", absl::ToInt64Hours(duration) / 24);
}

// Bytes of the character that `text` begins with; 0 if it begins with none.
size_t Utf8Length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  const size_t length = first < 0xC2   ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and beyond U+10FFFF.
  const auto second = static_cast<unsigned char>(text[1]);
  const bool forbidden = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                         (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return forbidden ? 0 : length;
}

// A time, or so long after `now`; before it if `sign` is -1.
absl::StatusOr<absl::Time> ParseTimeNear(std::string_view text, absl::Time now, int sign) {
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, A(text), &time, &error)) return time;
  int64_t count = 0;
  const std::string_view digits = text.empty() ? text : text.substr(0, text.size() - 1);
  if (absl::SimpleAtoi(A(digits), &count) && count > 0 && count <= 1'000'000'000) {
    switch (text.back()) {
      case 's':
        return now + sign * absl::Seconds(count);
      case 'm':
        return now + sign * absl::Minutes(count);
      case 'h':
        return now + sign * absl::Hours(count);
      case 'd':
        return now + sign * absl::Hours(24 * count);
    }
  }
  return UsageError(
      absl::StrFormat("\"%s\" is no time: give 90s, 15m, 12h or 30d %s, or 2027-01-31T12:00:00Z",
                      text, sign > 0 ? "from now" : "ago"));
}

}  // namespace

size_t FindInvalidUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

std::string HumanBytes(int64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrFormat("%d B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%s %s", ThreeDigits(value), kUnits[unit]);
}

std::string HumanCount(double count) {
  static constexpr std::array<const char*, 5> kUnits = {"k", "M", "G", "T", "P"};
  if (!std::isfinite(count)) return absl::StrFormat("%g", count);
  if (std::abs(count) < 999.5) return absl::StrFormat("%.0f", count);
  double value = count / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return absl::StrFormat("%s %s", ThreeDigits(value), kUnits[unit]);
}

std::string TableSize(int64_t rows, int64_t columns) {
  return absl::StrFormat("%s %s x %d %s", HumanCount(static_cast<double>(rows)),
                         rows == 1 ? "row" : "rows", columns, columns == 1 ? "column" : "columns");
}

std::string HumanDuration(absl::Duration duration) {
  if (duration < absl::ZeroDuration()) duration = absl::ZeroDuration();
  if (duration == absl::InfiniteDuration()) return "-";
  if (duration < absl::Seconds(10)) {
    return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
  }
  const int64_t seconds = absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  if (seconds < 60) return absl::StrFormat("%d s", seconds);
  if (seconds < 3600) return absl::StrFormat("%d min %d s", seconds / 60, seconds % 60);
  if (seconds < 48 * 3600) {
    return absl::StrFormat("%d h %d min", seconds / 3600, seconds / 60 % 60);
  }
  return absl::StrFormat("%d d %d h", seconds / 86400, seconds / 3600 % 24);
}

std::string RelativeTime(absl::Time time, absl::Time now) {
  if (time <= absl::UnixEpoch()) return "-";
  const absl::Duration age = now - time;
  if (age <= -absl::Seconds(1)) return "in " + CoarseDuration(-age);
  if (age < absl::Seconds(2)) return "just now";
  return CoarseDuration(age) + " ago";
}

std::string HumanNumber(double value, int digits) { return absl::StrFormat("%.*g", digits, value); }

absl::StatusOr<absl::Time> ParseExpiry(std::string_view text, absl::Time now) {
  return ParseTimeNear(text, now, 1);
}

absl::StatusOr<absl::Time> ParsePast(std::string_view text, absl::Time now) {
  return ParseTimeNear(text, now, -1);
}

std::string LastPart(std::string_view resource_name) {
  const size_t slash = resource_name.rfind('/');
  return std::string(slash == std::string_view::npos ? resource_name
                                                     : resource_name.substr(slash + 1));
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {
      printable += '?';  // U+0080 to U+009F: what some terminals take for ESC and a letter
      ++i;
    } else {
      printable += (byte < 0x20 && byte != '\t') || byte == 0x7F ? '?' : text[i];
    }
  }
  return printable;
}

}  // namespace beamline::cli
