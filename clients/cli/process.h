// Daemons that the CLI starts beside itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::cli {

// A program that runs. It gets SIGTERM if the CLI dies. Not thread-safe.
class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  // Kills it if it still runs.
  ~ChildProcess();

  // Starts `arguments[0]` in a process group of its own, so that Ctrl-C in the terminal does not
  // reach it; what it prints is appended to `log_path`.
  // NotFound: there is no such program. Internal: the system has no more room.
  static absl::StatusOr<ChildProcess> Start(const std::vector<std::string>& arguments,
                                            const std::string& log_path);

  pid_t pid() const { return pid_; }
  // Does not wait. Afterwards Ending() says how it ended.
  bool Running();
  // "exit code 3", "killed by signal 9 (Killed)"; empty while it runs.
  const std::string& ending() const { return ending_; }
  void Signal(int signal) const;
  // Waits at most so long; false if it runs on. `stop_on_interrupts`: ends the wait when so many
  // interrupts have come (interrupt.h).
  bool WaitForEnd(int64_t milliseconds, int stop_on_interrupts);

 private:
  pid_t pid_ = -1;
  std::string ending_;
};

// Path of the program `name` in the folder of the running program.
// NotFound: it is not there; the message says how it comes there.
absl::StatusOr<std::string> SiblingProgram(const std::string& name);

// The last `count` lines of a file; empty if it cannot be read.
std::string LastLines(const std::string& path, int count);

}  // namespace beamline::cli
