#include "clients/cli/wait_text.h"

#include "absl/strings/str_cat.h"
#include "clients/cli/format.h"
#include "clients/cli/json.h"
#include "clients/cli/invocation.h"

namespace beamline::cli {

std::string WaitWord(const v1::Wait& wait) {
  return EnumWord(v1::WaitReason_Name(wait.reason()), "WAIT_REASON_");
}

std::string WaitSentence(const v1::Wait& wait) {
  return wait.remedy().empty() ? wait.text() : absl::StrCat(wait.text(), ": ", wait.remedy());
}

std::string WaitSince(const v1::Wait& wait, absl::Time now) {
  return wait.has_since_time() ? RelativeTime(TimeOf(wait.since_time()), now) : "";
}

std::string EarliestStart(const v1::Wait& wait, absl::Time now) {
  if (!wait.has_earliest_start_time()) return wait.has_ahead() ? "unknown" : "";
  const absl::Time time = TimeOf(wait.earliest_start_time());
  return time <= now ? "now" : RelativeTime(time, now);
}

}  // namespace beamline::cli
