#include "worker/rate_lines.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace beamline::worker {

std::string RateLine(const v1::MeasuredRate& rate) {
  return absl::StrFormat("%s %d %.9g %.9g %.9g", rate.kernel(), rate.threads(), rate.flops(),
                         rate.bytes(), rate.seconds());
}

absl::StatusOr<v1::MeasuredRate> ParseRateLine(const std::string& line) {
  const std::vector<std::string> parts = absl::StrSplit(line, ' ');
  v1::MeasuredRate rate;
  int threads = 0;
  double flops = 0;
  double bytes = 0;
  double seconds = 0;
  if (parts.size() != 5 || parts[0].empty() || !absl::SimpleAtoi(parts[1], &threads) ||
      !absl::SimpleAtod(parts[2], &flops) || !absl::SimpleAtod(parts[3], &bytes) ||
      !absl::SimpleAtod(parts[4], &seconds) || threads < 1 || !(seconds > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", line, "\" is no measured rate"));
  }
  rate.set_kernel(parts[0]);
  rate.set_threads(threads);
  rate.set_flops(flops);
  rate.set_bytes(bytes);
  rate.set_seconds(seconds);
  return rate;
}

}  // namespace beamline::worker
