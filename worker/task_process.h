// One process of beamline-task, from its start to its end: fd 3 is a socket pair that speaks frames
// of task.proto, standard output and error are read as log lines.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "beamline/v1/task.pb.h"
#include "worker/frames.h"
#include "worker/log_lines.h"

namespace beamline::worker {

// How a process ended.
struct ProcessExit {
  // What waitpid says.
  int wait_status = 0;
  // Largest resident set. Unit: bytes.
  int64_t peak_memory_bytes = 0;
  // The kernel's out-of-memory killer struck somewhere on this machine while the process ran.
  bool machine_ran_out_of_memory = false;
};

// A child in its own session, with no other descriptor than 0 to 3 and a clean environment. It is
// killed by the kernel when the thread that started it ends: start it on a thread that lives as
// long as the daemon (task_starter.h does). Not thread-safe; may be moved between threads.
class TaskProcess {
  struct Token {
    explicit Token() = default;
  };

 public:
  // For Start only.
  explicit TaskProcess(Token) {}
  // Starts `binary` with `arguments` in `folder` (posix_spawn: no copy of the daemon's memory).
  // Internal if that is not possible, with the reason.
  static absl::StatusOr<std::unique_ptr<TaskProcess>> Start(
      const std::string& binary, const std::vector<std::string>& arguments,
      const std::string& folder);
  // Kills the process group and waits for its end.
  ~TaskProcess();

  pid_t pid() const { return pid_; }
  // Sends a command. Blocks while the pipe is full, at most 10 seconds. Unavailable if the process
  // is gone or does not read.
  absl::Status Send(const v1::TaskCommand& command);
  // `signal` to the whole process group. No-op after the end.
  void Signal(int signal);
  // True if it has neither ended nor closed its socket.
  bool Alive() const;

  // Descriptors to poll for reading. After the end of a stream it is -1.
  int message_fd() const { return socket_.get(); }
  int output_fd() const { return output_.get(); }
  int error_fd() const { return error_.get(); }
  // Becomes readable when the process has ended; -1 where the kernel has no pidfd.
  int exit_fd() const { return pidfd_.get(); }

  // Reads what is there without blocking. Messages that are whole are appended. InvalidArgument:
  // the process does not speak the protocol; the stream is closed then.
  absl::Status ReadMessages(std::vector<v1::TaskMessage>& messages);
  // Reads what is there without blocking, at most 64 KiB, and appends the lines that are whole; all
  // that remains at the end of the stream.
  void ReadOutput(std::vector<std::string>& lines) { ReadLines(output_, output_lines_, lines); }
  void ReadError(std::vector<std::string>& lines) { ReadLines(error_, error_lines_, lines); }

  // True once the process has ended; fills `exit` then. Does not block.
  bool Reap(ProcessExit& exit);

 private:
  void ReadLines(UniqueFd& fd, LineSplitter& splitter, std::vector<std::string>& lines);

  pid_t pid_ = -1;
  bool reaped_ = false;
  ProcessExit exit_;
  int64_t kills_before_ = 0;
  UniqueFd socket_;
  UniqueFd output_;
  UniqueFd error_;
  UniqueFd pidfd_;
  FrameReader frames_;
  LineSplitter output_lines_;
  LineSplitter error_lines_;
};

}  // namespace beamline::worker
