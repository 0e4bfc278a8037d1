// Where a step's programs run: not in the engine's process, which may start none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace beamline::pipeline {

// How a program ended; all that it had started has ended too.
struct ProgramOutcome {
  enum Kind {
    kExited,
    kKilled,      // by a signal that nobody here sent
    kMemory,      // it took more memory than the step may
    kProcesses,   // it made too many processes or threads
    kUnconfined,  // it was not started: this machine cannot confine it, last_words say why
    kLost,        // what runs programs is gone
  };
  Kind kind = kExited;
  int exit_code = 0;
  // Of kKilled: "SIGSEGV (Segmentation fault)".
  std::string signal;
  // The last lines of its standard error; empty if it wrote none.
  std::string last_words;
};

// Runs programs one after the other, in one folder that they alone write to. Not thread-safe.
class ProgramHost {
 public:
  virtual ~ProgramHost() = default;
  // Their current folder. Exists.
  virtual const std::string& folder() const = 0;
  // Its path as they see it themselves.
  virtual const std::string& name() const = 0;
  // Never fails: what goes wrong is the program's end.
  virtual void Start(const std::vector<std::string>& arguments) = 0;
  // To the program that runs: asks it to end; ends it and all that it has started; stops these,
  // and says whether none of them runs any more; lets them go on.
  virtual void Terminate() = 0;
  virtual void Kill() = 0;
  virtual bool Hold() = 0;
  virtual void GoOn() = 0;
  // The end of the program, once, after at most `wait_ms`.
  virtual std::optional<ProgramOutcome> Wait(int64_t wait_ms) = 0;
};

}  // namespace beamline::pipeline
