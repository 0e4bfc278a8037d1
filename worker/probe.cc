#include "worker/probe.h"

#include <poll.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "worker/task_process.h"

namespace beamline::worker {

absl::StatusOr<std::vector<std::string>> ProbeConfinement(const std::string& binary) {
  ASSIGN_OR_RETURN(const auto process, TaskProcess::Start(binary, {"--confinement"}, "/"));
  constexpr int kPatienceMillis = 10'000;
  std::vector<std::string> lines;
  std::vector<std::string> complaints;
  while (process->output_fd() >= 0) {
    pollfd ready{.fd = process->output_fd(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kPatienceMillis) <= 0) break;
    process->ReadOutput(lines);
  }
  process->ReadError(complaints);
  if (!lines.empty()) return lines;
  return absl::InternalError(absl::StrCat(
      binary, " does not run", complaints.empty() ? "" : absl::StrCat(": ", complaints.front())));
}

}  // namespace beamline::worker
