// What the terminal can show, and the few ways in which text is put on it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace beamline::cli {

// What may be written to one stream.
struct TerminalTraits {
  bool is_terminal = false;
  bool color = false;
  bool utf8 = false;
  // Columns; 80 if unknown.
  int width = 80;
};

// Of standard output and standard error: colour needs a terminal, a TERM other than "dumb" and no
// NO_COLOR; UTF-8 is what LC_ALL, LC_CTYPE or LANG say.
TerminalTraits TraitsOf(int fd);

// `text` in the colour, if the traits allow it.
enum class Color { kRed, kGreen, kYellow, kBlue, kDim, kBold };
std::string Colored(const TerminalTraits& traits, Color color, std::string_view text);

// Lines that are redrawn in place on a terminal. Not thread-safe.
class LiveArea {
 public:
  // Writes to `fd`, which must stay open. Does nothing at all unless the traits say terminal.
  LiveArea(int fd, const TerminalTraits& traits) : fd_(fd), traits_(traits) {}
  ~LiveArea() { Clear(); }
  LiveArea(const LiveArea&) = delete;
  LiveArea& operator=(const LiveArea&) = delete;

  // Replaces what was drawn before. Lines are cut at the terminal's width.
  void Draw(const std::vector<std::string>& lines);
  // Removes what was drawn.
  void Clear();
  // Lets what was drawn stand and forgets it.
  void Keep() { drawn_ = 0; }

 private:
  const int fd_;
  const TerminalTraits traits_;
  int drawn_ = 0;
};

// `text` cut to `width` columns; escape sequences take none.
std::string CutToWidth(std::string_view text, size_t width);

}  // namespace beamline::cli
