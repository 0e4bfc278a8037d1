#include "worker/process_executor.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/process_execution.h"

namespace beamline::worker {

ProcessExecutor::ProcessExecutor(ProcessExecutorOptions options, TaskStarter& starter,
                                 BlobCache& cache, BlobLink& blobs, const Clock& clock)
    : options_(std::move(options)),
      starter_(starter),
      cache_(cache),
      blobs_(blobs),
      clock_(clock) {}

absl::Status ProcessExecutor::Prepare() {
  std::error_code error;
  std::filesystem::remove_all(options_.work_folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrCat("cannot clear ", options_.work_folder, ": ", error.message()));
  }
  if (mkdir(options_.work_folder.c_str(), 0700) != 0) {
    return absl::InternalError(
        absl::StrCat("cannot make ", options_.work_folder, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

std::unique_ptr<Execution> ProcessExecutor::Start(std::shared_ptr<const v1::Attempt> attempt,
                                                  std::shared_ptr<ExecutionListener> listener) {
  return std::make_unique<ProcessExecution>(
      ExecutionContext{options_, starter_, cache_, blobs_, clock_}, std::move(attempt),
      std::move(listener));
}

}  // namespace beamline::worker
