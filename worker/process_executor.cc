#include "worker/process_executor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "worker/process_execution.h"
#include "worker/remove_tree.h"

namespace beamline::worker {

ProcessExecutor::ProcessExecutor(ProcessExecutorOptions options, TaskStarter& starter,
                                 BlobCache& cache, BlobLink& blobs, const Clock& clock)
    : options_(std::move(options)),
      starter_(starter),
      cache_(cache),
      blobs_(blobs),
      clock_(clock) {}

absl::Status ProcessExecutor::Prepare() {
  if (const absl::Status removed = RemoveTree(options_.work_folder); !removed.ok()) {
    const std::string aside = absl::StrCat(options_.work_folder, ".unremoved-", getpid(), "-",
                                           absl::ToUnixSeconds(clock_.Now()));
    if (rename(options_.work_folder.c_str(), aside.c_str()) != 0) {
      return absl::InternalError(absl::StrCat(std::string(removed.message()),
                                              "; nor can it become ", aside, ": ",
                                              std::strerror(errno)));
    }
    log::Warning("%s; it is %s now, remove that by hand", std::string(removed.message()), aside);
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
