#include "clients/cli/progress.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/format.h"

namespace beamline::cli {

std::string Bar(double fraction, int width, bool utf8) {
  fraction = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  width = std::max(width, 1);
  std::string bar;
  if (!utf8) {
    const int filled = static_cast<int>(fraction * width);
    return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
  }
  // Eighths of a column, from the left.
  static constexpr std::array<const char*, 8> kParts = {" ",      "\u258f", "\u258e", "\u258d",
                                                        "\u258c", "\u258b", "\u258a", "\u2589"};
  const int eighths = static_cast<int>(fraction * width * 8);
  for (int i = 0; i < eighths / 8; ++i) bar += "\u2588";
  if (eighths / 8 < width) {
    bar += eighths % 8 == 0 ? "\u2591" : kParts[eighths % 8];
    for (int i = eighths / 8 + 1; i < width; ++i) bar += "\u2591";
  }
  return bar;
}

std::string TransferLine(const Transfer& transfer, const TerminalTraits& traits) {
  const double fraction =
      transfer.total > 0 ? static_cast<double>(transfer.done) / transfer.total : 1.0;
  std::string line = absl::StrFormat(
      "%s  %s %3d%%  %s of %s", Printable(transfer.name), Bar(fraction, 24, traits.utf8),
      static_cast<int>(fraction * 100), HumanBytes(transfer.done), HumanBytes(transfer.total));
  const auto sent = static_cast<double>(transfer.done - transfer.resumed_from);
  if (transfer.seconds > 0.2 && sent > 0) {
    const double rate = sent / transfer.seconds;
    absl::StrAppend(&line, "  ", HumanBytes(static_cast<int64_t>(rate)), "/s");
    if (transfer.done < transfer.total) {
      const double left = static_cast<double>(transfer.total - transfer.done) / rate;
      absl::StrAppend(&line, "  ETA ", HumanDuration(absl::Seconds(left)));
    }
  }
  return line;
}

}  // namespace beamline::cli
