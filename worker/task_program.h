// The frame of every program that the worker starts for an attempt: speaks the protocol, confines
// itself, and ends when the worker is gone.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "beamline/v1/task.pb.h"
#include "worker/program_keeper.h"

namespace beamline::worker {

// Sends what a task says to the worker. Thread-safe. Ends the process when the worker is gone:
// nobody is left to work for.
class TaskReporter {
 public:
  void Send(const v1::TaskMessage& message);

 private:
  std::mutex mutex_;
};

// What a program does for its one attempt.
class TaskProgram {
 public:
  virtual ~TaskProgram() = default;
  // Whether the attempt runs programs of the user's. It is given a keeper then, before Execute.
  virtual bool RunsPrograms(const v1::TaskStart&) const { return false; }
  // The digest of the image that these run in; empty: in the machine's own root.
  virtual std::string ImageOf(const v1::TaskStart&) const { return ""; }
  virtual void TakeKeeper(std::unique_ptr<ProgramKeeper>) {}
  // Runs the attempt to its end, on the main thread, confined. std::bad_alloc becomes
  // OUT_OF_MEMORY, any other exception CRASH.
  virtual v1::TaskEnd Execute(const v1::TaskStart& start, TaskReporter& reporter) = 0;
  // The worker wants it to stop. Called on another thread, possibly more than once.
  virtual void Stop(bool checkpoint) = 0;
};

// What main returns. With the one argument "--confinement" prints what this machine can enforce,
// a line each, and ends. With "--images" and a folder: where images are (image_folder.h).
int RunTaskProgram(TaskProgram& program, int argc, char** argv);

}  // namespace beamline::worker
