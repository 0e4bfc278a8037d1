#include "clients/cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "clients/cli/exit_code.h"

namespace beamline::cli {
namespace {

std::atomic<int> interrupt_count = 0;
// Readable from the first interrupt on. Written by the handler, so it must be a plain descriptor.
int wake_pipe[2] = {-1, -1};

void OnSignal(int) {
  if (interrupt_count.fetch_add(1) >= 2) _exit(static_cast<int>(ExitCode::kInterrupted));
  const char byte = 0;
  [[maybe_unused]] const ssize_t written = write(wake_pipe[1], &byte, 1);
}

}  // namespace

void CatchInterrupts() {
  if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

int InterruptCount() { return interrupt_count.load(); }

bool WaitUnlessInterrupted(int64_t milliseconds) {
  if (InterruptCount() > 0) return true;
  pollfd waited = {wake_pipe[0], POLLIN, 0};
  poll(&waited, 1, static_cast<int>(milliseconds));
  return InterruptCount() > 0;
}

absl::Status InterruptedError() { return absl::CancelledError("interrupted"); }

}  // namespace beamline::cli
