#include "worker/task_program.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "worker/confinement.h"
#include "worker/frames.h"

#if defined(__SANITIZE_ADDRESS__)
// Leak detection traces the process from a second one, which the confinement forbids.
extern "C" int __lsan_is_turned_off() { return 1; }
#endif

namespace beamline::worker {
namespace {

constexpr int kSocket = 3;
constexpr int64_t kDefaultMemoryBytes = int64_t{1} << 30;

v1::TaskEnd FailedEnd(v1::FailureKind kind, const std::string& message) {
  v1::TaskEnd end;
  end.mutable_result()->set_outcome(v1::AttemptResult::OUTCOME_FAILED);
  end.mutable_result()->mutable_failure()->set_kind(kind);
  end.mutable_result()->mutable_failure()->set_message(message);
  return end;
}

v1::TaskEnd Execute(TaskProgram& program, const v1::TaskStart& start, TaskReporter& reporter) {
  try {
    return program.Execute(start, reporter);
  } catch (const std::bad_alloc&) {
    return FailedEnd(v1::FAILURE_KIND_OUT_OF_MEMORY,
                     "the task needed more memory than it may use: raise resources.memory_bytes of "
                     "the step");
  } catch (const std::exception& error) {
    return FailedEnd(v1::FAILURE_KIND_CRASH, std::string("unexpected: ") + error.what());
  }
}

// Hands the worker's commands on until the worker closes the socket, which ends the process.
void Listen(TaskProgram& program) {
  while (true) {
    v1::TaskCommand command;
    if (!ReadFrame(kSocket, command).ok()) _exit(EXIT_FAILURE);
    if (command.has_stop()) program.Stop(command.stop().checkpoint());
  }
}

ConfinementLimits LimitsOf(const v1::TaskStart& start) {
  ConfinementLimits limits;
  limits.work_folder = start.work_folder();
  for (const auto& [name, path] : start.input_paths()) limits.readable_files.push_back(path);
  const int64_t memory_bytes = start.attempt().resources().memory_bytes();
  limits.memory_bytes = memory_bytes > 0 ? memory_bytes : kDefaultMemoryBytes;
  // Besides those that compute: the listener, and what libraries may start.
  limits.threads = start.threads() + 8;
  limits.gpus = start.gpus_size() > 0;
  return limits;
}

// Where programs of the user's work: beside what the task itself writes.
absl::Status MakeKeeper(TaskProgram& program, const v1::TaskStart& start, const std::string& images,
                        ConfinementReport& report) {
  if (!program.RunsPrograms(start)) return absl::OkStatus();
  const ConfinementLimits own = LimitsOf(start);
  // They could reach those of others too.
  if (own.gpus)
    return absl::UnimplementedError("programs on graphics processors are not built yet");
  ProgramLimits limits{.folder = start.work_folder() + kProgramFolder,
                       .memory_bytes = own.memory_bytes,
                       .threads = start.threads(),
                       .gpus = own.gpus,
                       .image = {}};
  if (const std::string digest = program.ImageOf(start); !digest.empty()) {
    ASSIGN_OR_RETURN(limits.image, FindImage(images, digest));
  }
  if (mkdir(limits.folder.c_str(), 0700) != 0) {
    return absl::InternalError("cannot make " + limits.folder + ": " + std::strerror(errno));
  }
  ASSIGN_OR_RETURN(auto keeper, ProgramKeeper::Start(limits, report));
  program.TakeKeeper(std::move(keeper));
  return absl::OkStatus();
}

// The process was started before its devices were known. CUDA reads this when it is initialised.
void ShowGpus(const v1::TaskStart& start) {
  std::string uuids;
  for (const v1::Device& gpu : start.gpus()) {
    if (!uuids.empty()) uuids += ',';
    uuids += gpu.uuid();
  }
  setenv("CUDA_VISIBLE_DEVICES", uuids.c_str(), 1);
}

int PrintConfinement() {
  ConfinementReport report = EnterSandbox();
  ConfinementLimits limits;
  limits.work_folder = "/";
  limits.memory_bytes = kDefaultMemoryBytes;
  // They end with this process. Nothing is written to the folder.
  const auto keeper = ProgramKeeper::Start({.folder = "/tmp", .image = {}}, report);
  ConfinementReport ignored;
  const auto in_image = ProgramKeeper::Start(
      {.folder = "/tmp", .image = {.root = "/usr", .environment = {}}}, ignored);
  report.push_back(in_image.ok()
                       ? kProgramsInImages
                       : absl::StrCat("no programs in images: ", in_image.status().message()));
  const absl::Status status = ConfineToWork(limits, report);
  for (const std::string& line : report) std::printf("%s\n", line.c_str());
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

void TaskReporter::Send(const v1::TaskMessage& message) {
  std::lock_guard lock(mutex_);
  if (!WriteFrame(kSocket, message).ok()) _exit(EXIT_FAILURE);
}

int RunTaskProgram(TaskProgram& program, int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--confinement") == 0) return PrintConfinement();
  std::string images;
  if (argc == 3 && std::strcmp(argv[1], "--images") == 0) images = argv[2];
  struct stat info;
  if ((argc != 1 && images.empty()) || fstat(kSocket, &info) != 0 || !S_ISSOCK(info.st_mode)) {
    std::fprintf(stderr, "beamline-task is started by beamline-worker, not by hand\n");
    return 2;
  }
  // So that whoever lists processes can tell the one that is kept ready from those at work.
  prctl(PR_SET_NAME, "beamline-idle", 0, 0, 0);
  ConfinementReport report = EnterSandbox();
  v1::TaskCommand command;
  // A process that was kept ready and never used ends here.
  if (!ReadFrame(kSocket, command).ok() || !command.has_start()) return EXIT_FAILURE;
  prctl(PR_SET_NAME, "beamline-task", 0, 0, 0);

  ShowGpus(command.start());
  TaskReporter reporter;
  v1::TaskMessage last;
  absl::Status confined = MakeKeeper(program, command.start(), images, report);
  if (confined.ok()) confined = ConfineToWork(LimitsOf(command.start()), report);
  if (confined.ok()) {
    std::thread listener([&program] { Listen(program); });
    *last.mutable_end() = Execute(program, command.start(), reporter);
    reporter.Send(last);
    std::fflush(nullptr);
    // Not by return: the listener waits for the worker, and everything is said.
    _exit(EXIT_SUCCESS);
  }
  *last.mutable_end() = FailedEnd(v1::FAILURE_KIND_INFRASTRUCTURE, std::string(confined.message()));
  reporter.Send(last);
  return EXIT_FAILURE;
}

}  // namespace beamline::worker
