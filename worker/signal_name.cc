#include "worker/signal_name.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace beamline::worker {

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  const char* description = sigdescr_np(signal);
  return absl::StrCat(name != nullptr ? absl::StrCat("SIG", name) : absl::StrCat("signal ", signal),
                      description != nullptr ? absl::StrCat(" (", description, ")") : "");
}

}  // namespace beamline::worker
