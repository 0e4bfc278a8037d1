// Starts processes for tasks, and keeps one ready.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/task_process.h"

namespace beamline::worker {

// Loading a program, its libraries and its namespaces takes longer than a small task may take to
// begin; so a process that has all that behind it waits idle for its start message. All processes
// are children of one thread that lives as long as this object: the kernel kills them with it.
// Thread-safe.
class TaskStarter {
 public:
  struct Options {
    // The program, and what it is given.
    std::string binary = {};
    std::vector<std::string> arguments = {};
    // Its current folder until it has work.
    std::string folder = "/";
    bool keep_one_ready = true;
    // Time between taking the process that was ready and starting the next one, so that this does
    // not slow down the task that begins. Unit: milliseconds.
    int64_t refill_ms = 100;
  };

  explicit TaskStarter(Options options);
  ~TaskStarter();

  // The process that is ready, or else a new one. Fails as TaskProcess::Start does. Blocks for the
  // start of a process at most (milliseconds).
  absl::StatusOr<std::unique_ptr<TaskProcess>> Take();

 private:
  struct Order {
    bool done = false;
    absl::StatusOr<std::unique_ptr<TaskProcess>> process = absl::UnknownError("");
  };
  void Run();

  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool stopped_ = false;
  bool refill_ = false;
  std::vector<Order*> orders_;
  std::unique_ptr<TaskProcess> ready_;
  // Last: starts when everything else is made.
  std::thread thread_;
};

}  // namespace beamline::worker
