// The executor that does the work: fetches inputs, runs a confined process, uploads what it makes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "worker/cache.h"
#include "worker/executor.h"
#include "worker/log_lines.h"
#include "worker/server_link.h"
#include "worker/task_starter.h"

namespace beamline::worker {

struct ProcessExecutorOptions {
  // Each attempt gets a folder of its own in here, removed at its end.
  std::string work_folder;
  // How long a process may go on after it was asked to stop, before SIGTERM. Unit: milliseconds.
  int64_t cancel_grace_ms = 2'000;
  // The same when it was asked for a checkpoint first.
  int64_t release_grace_ms = 60'000;
  // From SIGTERM, or from the task's last message, to SIGKILL. Unit: milliseconds.
  int64_t kill_grace_ms = 2'000;
  LogBudget::Limits log = {};
  // The machine's, as the server knows them. An attempt gets those of its devices to itself.
  std::vector<v1::Device> gpus = {};
};

// One thread per attempt, and a second one while it uploads a checkpoint. Owns nothing that it is
// given. Thread-safe.
class ProcessExecutor : public Executor {
 public:
  ProcessExecutor(ProcessExecutorOptions options, TaskStarter& starter, BlobCache& cache,
                  BlobLink& blobs, const Clock& clock);
  // Makes the folder for work and removes what an earlier daemon left in it. What cannot be removed
  // is moved aside, and logged.
  absl::Status Prepare();

  std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt> attempt,
                                   std::shared_ptr<ExecutionListener> listener) override;

 private:
  const ProcessExecutorOptions options_;
  TaskStarter& starter_;
  BlobCache& cache_;
  BlobLink& blobs_;
  const Clock& clock_;
};

}  // namespace beamline::worker
