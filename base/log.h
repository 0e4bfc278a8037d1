// The daemons' log: one line an event on standard error, "2026-11-23T20:13:00.123Z I server  text".
// Never pass secrets. Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace beamline::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// `program` is printed in every line. Lines below `level` are dropped. Call once, in main.
void Start(std::string_view program, Level level);

void Write(Level level, std::string_view text);

template <typename... Args>
void Info(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Write(Level::kInfo, absl::StrFormat(format, args...));
}
template <typename... Args>
void Warning(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Write(Level::kWarning, absl::StrFormat(format, args...));
}
template <typename... Args>
void Error(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Write(Level::kError, absl::StrFormat(format, args...));
}
template <typename... Args>
void Debug(const absl::FormatSpec<Args...>& format, const Args&... args) {
  Write(Level::kDebug, absl::StrFormat(format, args...));
}

}  // namespace beamline::log
