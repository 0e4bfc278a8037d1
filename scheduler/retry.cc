#include "scheduler/retry.h"

#include <algorithm>

namespace beamline::scheduler {

int64_t BackOffMs(const Options& options, int64_t times) {
  if (times <= 0) return 0;
  int64_t wait_ms = options.first_back_off_ms;
  for (int64_t i = 1; i < times && wait_ms < options.max_back_off_ms; ++i) wait_ms *= 2;
  return std::min(wait_ms, options.max_back_off_ms);
}

std::optional<EndCode> CountRetry(const Options& options, RequeueCode code, int64_t now_ms,
                                  TaskQueued& task) {
  if (code == RequeueCode::kFailure) {
    if (++task.failures >= task.max_attempts) return EndCode::kAttemptsUsedUp;
  } else {
    if (++task.losses >= options.max_losses) return EndCode::kLostTooOften;
  }
  task.not_before_ms = now_ms;
  if (code != RequeueCode::kReleased) {
    task.not_before_ms += BackOffMs(options, int64_t{task.failures} + task.losses);
  }
  return std::nullopt;
}

}  // namespace beamline::scheduler
