// How a task has the user's programs run: by a second process, its keeper. It is made before the
// task confines itself, and so can do what the task itself must not: start programs, send them
// signals, watch what they use. The task stays as confined as any other; so are its programs, which
// see less than the task does of Beamline and more of the system (confinement.h).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "worker/confinement.h"
#include "worker/image_folder.h"

namespace beamline::worker {

// Below a task's own folder, where the programs that it runs work.
inline constexpr char kProgramFolder[] = "/work";

// What the programs of one task may use together.
struct ProgramLimits {
  // Their current folder and the only place where they may write. Exists. In an image they see it
  // as kWorkInImage.
  std::string folder;
  // Unit: bytes.
  int64_t memory_bytes = 0;
  int processes = 256;
  // Of all processes, where the kernel can bound that; the margin is for numeric libraries.
  int threads_in_all = 1024;
  // Of all processes, watched everywhere.
  int most_threads = 4096;
  // That they are told to compute with.
  int threads = 1;
  bool gpus = false;
  // The root file system that they see.
  Image image;
};

enum class ProgramSignal : char {
  kTerminate = 'T',  // SIGTERM, to the program itself
  kKill = 'K',       // SIGKILL, and the one below, to it and all that it has started
  kGoOn = 'C',       // SIGCONT
};

// How a program ended. All that it had started has ended too.
struct ProgramEnd {
  enum Cause : int32_t {
    kItself = 0,
    // It was killed because all its processes together took more than memory_bytes, or were more
    // than `processes` or had more than `most_threads`.
    kMemory = 1,
    kProcesses = 2,
    // It was not started: this machine cannot confine it. The last words say what it lacks.
    kUnconfined = 3,
  };
  // What waitpid says.
  int32_t wait_status = 0;
  Cause cause = kItself;
  // The last lines of its standard error, joined by " | ".
  std::string last_words;
};

// What a keeper tells of an end: this, then so many bytes of last words.
struct EndHeader {
  int32_t wait_status = 0;
  int32_t cause = 0;
  uint32_t words_bytes = 0;
};

// The task's side. Not thread-safe. Programs write to the task's own standard output and error.
class ProgramKeeper {
  struct Token {
    explicit Token() = default;
  };

 public:
  // For Start only.
  ProgramKeeper(Token, UniqueFd control) : control_(std::move(control)) {}
  // Makes the keeper; to be called after EnterSandbox, before ConfineToWork and any thread.
  // Appends to `report` what it could separate. Internal if no process can be made, Unavailable if
  // it ended at once, or this machine cannot show programs the root of an image: why.
  static absl::StatusOr<std::unique_ptr<ProgramKeeper>> Start(const ProgramLimits& limits,
                                                              ConfinementReport& report);
  // Kills what runs.
  ~ProgramKeeper() = default;

  // Starts a program: an absolute path, a path in the folder, or a name that is looked for in
  // /usr/local/bin, /usr/bin and /bin (of an image: where its PATH says), and its arguments. One at
  // a time: Wait must have told of the end of the one before. Unavailable: the keeper is gone. A
  // program that cannot be started ends with exit code 127, its last words say why.
  absl::Status Run(const std::vector<std::string>& arguments);
  // To the program that runs; nothing if it has ended.
  void Send(ProgramSignal signal);
  // Stops the program and all that it has started (SIGSTOP), until kGoOn. True when none of them
  // runs any more, or it has ended; false if that took longer than a second, or the keeper is gone.
  bool Hold();
  // The end of the program, once, after `wait_ms` at most. Unavailable: the keeper is gone, and
  // with it all programs.
  absl::StatusOr<std::optional<ProgramEnd>> Wait(int64_t wait_ms);

 private:
  absl::StatusOr<ProgramEnd> ReadEnd(const EndHeader& header);

  UniqueFd control_;
  // It came while Hold waited for its answer.
  std::optional<ProgramEnd> ended_;
};

// ---- The keeper's own side (keeper_process.cc) ----

// Runs programs as `control` says until that is closed. `limits`: what a program is confined to.
[[noreturn]] void KeepPrograms(UniqueFd control, const ProgramLimits& programs,
                               ConfinementLimits limits);

// Precedes an order (a frame that holds a v1.Program of arguments) on the way to the keeper.
inline constexpr char kRunProgram = 'R';
// Is answered by an EndHeader of cause kHeldReply, whose wait_status is 1 if it is held.
inline constexpr char kHoldProgram = 'H';
inline constexpr int32_t kHeldReply = -1;

}  // namespace beamline::worker
