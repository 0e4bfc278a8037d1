// Progress bars as text; whoever draws them puts them on the terminal.
#pragma once

#include <string>
#include <string_view>

#include "clients/cli/terminal.h"

namespace beamline::cli {

// A bar of `width` columns, `fraction` of it filled; fraction is clamped to [0, 1].
std::string Bar(double fraction, int width, bool utf8);

// "higgs.csv  [bar]  45%  12.0 MiB of 26.6 MiB  8.10 MiB/s  ETA 2 s".
// `done` and `total` in bytes; `seconds` since `resumed_from` bytes were there.
struct Transfer {
  std::string name;
  int64_t done = 0;
  int64_t total = 0;
  int64_t resumed_from = 0;
  double seconds = 0;
};
std::string TransferLine(const Transfer& transfer, const TerminalTraits& traits);

}  // namespace beamline::cli
