#include "clients/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/strings.h"

namespace beamline::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(Environment(name));
    if (!value.empty())
      return absl::StrContains(value, "utf-8") || absl::StrContains(value, "utf8");
  }
  return false;
}

int WidthOf(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

TerminalTraits TraitsOf(int fd) {
  TerminalTraits traits;
  traits.is_terminal = isatty(fd) == 1 && Environment("TERM") != "dumb";
  traits.color = traits.is_terminal && Environment("NO_COLOR").empty();
  traits.utf8 = LocaleIsUtf8();
  traits.width = WidthOf(fd);
  return traits;
}

std::string Colored(const TerminalTraits& traits, Color color, std::string_view text) {
  if (!traits.color) return std::string(text);
  static constexpr std::array<const char*, 6> kCodes = {"31", "32", "33", "34", "2", "1"};
  return absl::StrFormat("\x1b[%sm%s\x1b[0m", kCodes[static_cast<size_t>(color)], text);
}

std::string CutToWidth(std::string_view text, size_t width) {
  std::string cut;
  size_t columns = 0;
  bool in_escape = false;
  for (const char c : text) {
    if (c == '\x1b') in_escape = true;
    const bool starts_character = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (!in_escape && starts_character && ++columns > width) break;
    cut += c;
    if (in_escape && c >= 'A' && c != '[') in_escape = false;
  }
  if (columns > width && absl::StrContains(A(text), "\x1b[")) cut += "\x1b[0m";
  return cut;
}

void LiveArea::Draw(const std::vector<std::string>& lines) {
  if (!traits_.is_terminal) return;
  std::string bytes;
  if (drawn_ > 0) absl::StrAppend(&bytes, "\x1b[", drawn_, "A");
  absl::StrAppend(&bytes, "\r\x1b[J");
  const auto width = static_cast<size_t>(WidthOf(fd_));
  for (const std::string& line : lines) absl::StrAppend(&bytes, CutToWidth(line, width - 1), "\n");
  drawn_ = static_cast<int>(lines.size());
  // A terminal that is gone shows itself to the next write of a result.
  WriteFully(fd_, bytes).IgnoreError();
}

void LiveArea::Clear() {
  if (drawn_ > 0) Draw({});
  drawn_ = 0;
}

}  // namespace beamline::cli
