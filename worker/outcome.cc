#include "worker/outcome.h"

#include <signal.h>
#include <sys/wait.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "worker/log_lines.h"
#include "worker/signal_name.h"

namespace beamline::worker {
namespace {

bool LackedMemory(const ProcessExit& exit, int64_t memory_bytes, const std::string& last_words) {
  if (!WIFSIGNALED(exit.wait_status)) return false;
  const int signal = WTERMSIG(exit.wait_status);
  if (signal == SIGABRT && last_words.find("bad_alloc") != std::string::npos) return true;
  if (signal != SIGKILL) return false;
  return exit.machine_ran_out_of_memory || exit.peak_memory_bytes >= memory_bytes;
}

}  // namespace

v1::AttemptResult Failed(v1::FailureKind kind, const std::string& message) {
  v1::AttemptResult result;
  result.set_outcome(v1::AttemptResult::OUTCOME_FAILED);
  result.mutable_failure()->set_kind(kind);
  result.mutable_failure()->set_message(CleanText(message));
  return result;
}

v1::AttemptResult Stopped(Execution::StopReason reason) {
  v1::AttemptResult result;
  result.set_outcome(reason == Execution::StopReason::kRelease
                         ? v1::AttemptResult::OUTCOME_RELEASED
                         : v1::AttemptResult::OUTCOME_CANCELLED);
  return result;
}

v1::AttemptResult Classify(const ProcessExit& exit, std::optional<Execution::StopReason> stop,
                           int64_t memory_bytes, const std::string& last_words) {
  if (stop.has_value()) return Stopped(*stop);
  if (LackedMemory(exit, memory_bytes, last_words)) {
    return Failed(v1::FAILURE_KIND_OUT_OF_MEMORY,
                  absl::StrCat("the task needed more memory than the ", memory_bytes >> 20,
                               " MiB it may use: raise resources.memory_bytes of the step"));
  }
  const std::string how =
      WIFSIGNALED(exit.wait_status)
          ? absl::StrCat("was killed by ", SignalName(WTERMSIG(exit.wait_status)))
          : absl::StrCat("ended with exit code ", WEXITSTATUS(exit.wait_status),
                         " before it had a result");
  return Failed(v1::FAILURE_KIND_CRASH,
                absl::StrCat("the task's process ", how,
                             last_words.empty() ? "" : "; it last wrote: ", last_words));
}

}  // namespace beamline::worker
