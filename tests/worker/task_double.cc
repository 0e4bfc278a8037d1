// A task whose step name says how it behaves: the good, the bad and the hostile.
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "worker/task_program.h"

namespace beamline::worker {
namespace {

class Double : public TaskProgram {
 public:
  v1::TaskEnd Execute(const v1::TaskStart& start, TaskReporter& reporter) override {
    start_ = start;
    reporter_ = &reporter;
    const std::map<std::string, void (Double::*)()> behaviours = {
        {"succeed", &Double::Succeed},      {"crash", &Double::Crash},
        {"exit-seven", &Double::ExitSeven}, {"hang", &Double::Hang},
        {"hang-deaf", &Double::HangDeaf},   {"flood", &Double::Flood},
        {"memory", &Double::Memory},        {"abort-memory", &Double::AbortMemory},
        {"escape", &Double::Escape},        {"long-frame", &Double::LongFrame},
        {"half-frame", &Double::HalfFrame}, {"steal", &Double::Steal},
        {"obedient", &Double::Obedient},    {"read-inputs", &Double::ReadInputs},
        {"user-error", &Double::UserError}, {"fork", &Double::Fork},
        {"show-gpus", &Double::ShowGpus},   {"use-gpu", &Double::UseGpu},
    };
    const auto found = behaviours.find(start.attempt().step());
    if (found == behaviours.end()) _exit(99);
    (this->*found->second)();
    return end_;
  }
  void Stop(bool checkpoint) override { stop_ = checkpoint ? 2 : 1; }

 private:
  void Say(const std::string& text) {
    v1::TaskMessage message;
    message.mutable_event()->mutable_log()->set_stream(v1::LogLine::STREAM_ENGINE);
    message.mutable_event()->mutable_log()->set_text(text);
    reporter_->Send(message);
  }
  void Progress(int64_t step) {
    v1::TaskMessage message;
    message.mutable_event()->mutable_progress()->set_step(step);
    reporter_->Send(message);
  }
  void Checkpoint(const std::string& bytes, int64_t step) {
    const std::string name = "checkpoint-" + std::to_string(step);
    if (!WriteFileAtomically(name, bytes).ok()) _exit(98);
    v1::TaskMessage message;
    message.mutable_checkpoint()->set_path(name);
    message.mutable_checkpoint()->set_step(step);
    reporter_->Send(message);
  }
  void SetOutcome(v1::AttemptResult::Outcome outcome) {
    end_.mutable_result()->set_outcome(outcome);
  }

  void Succeed() {
    Progress(1);
    Progress(2);
    if (!WriteFileAtomically(start_.work_folder() + "/model", "weights").ok()) _exit(98);
    (*end_.mutable_artifact_paths())["model"] = start_.work_folder() + "/model";
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }
  void UserError() {
    SetOutcome(v1::AttemptResult::OUTCOME_FAILED);
    end_.mutable_result()->mutable_failure()->set_kind(v1::FAILURE_KIND_USER);
    end_.mutable_result()->mutable_failure()->set_message("no such column");
  }
  void Crash() {
    std::fprintf(stderr, "about to die\n");
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
  }
  void ExitSeven() { _exit(7); }
  void Hang() {
    Progress(1);
    while (true) pause();
  }
  void HangDeaf() {
    signal(SIGTERM, SIG_IGN);
    Hang();
  }
  void Flood() {
    for (int i = 0; i < 100'000; ++i) std::fprintf(stderr, "line %d of many\n", i);
    std::fprintf(stderr, "%s\n", std::string(100'000, 'x').c_str());
    std::fprintf(stderr, "not \xff UTF-8\n");
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }
  void Memory() {
    std::vector<std::string> blocks;
    while (true) blocks.emplace_back(size_t{16} << 20, 'x');
  }
  void AbortMemory() {
    std::fprintf(stderr, "terminate called after throwing an instance of 'std::bad_alloc'\n");
    signal(SIGABRT, SIG_DFL);
    std::abort();
  }
  // Ends with the names of all walls that did not hold.
  void Escape() {
    std::string open_doors;
    const auto must_fail = [&](const char* what, bool failed) {
      if (!failed) open_doors += std::string(" ") + what;
    };
    must_fail("socket", socket(AF_INET, SOCK_STREAM, 0) < 0);
    must_fail("datagrams", socket(AF_UNIX, SOCK_DGRAM, 0) < 0);
    int pair[2];
    must_fail("socketpair", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) != 0);
    // One that the driver of a GPU may make leads nowhere.
    const int local = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    sockaddr_un somewhere = {AF_UNIX, "/run/somewhere"};
    must_fail("connect", local < 0 || (connect(local, reinterpret_cast<sockaddr*>(&somewhere),
                                               sizeof somewhere) != 0 &&
                                       errno == ECONNREFUSED));
    if (local >= 0) close(local);
    must_fail("fork", fork() < 0);
    must_fail("exec", execl("/bin/true", "true", nullptr) < 0);
    must_fail("mount", mount("none", ".", "tmpfs", 0, nullptr) != 0);
    must_fail("kill", kill(getppid(), 0) != 0);
    must_fail("core", [] {
      // 0 is the limit that was set.
      const auto limits = ReadFile("/proc/self/limits");
      if (!limits.ok()) return true;
      const size_t at = limits->find("Max core file size");
      return limits->substr(at, 60).find(" 0 ") != std::string::npos;
    }());
    must_fail("descriptors", fcntl(4, F_GETFD) < 0 && fcntl(5, F_GETFD) < 0);
    must_fail("environment", std::getenv("BEAMLINE_SECRET") == nullptr);
    must_fail("session", getsid(0) == getpid());
    struct stat folder;
    must_fail("folder", stat(".", &folder) == 0 && (folder.st_mode & 0777) == 0700);
    must_fail("write outside", open("../escape", O_CREAT | O_WRONLY, 0600) < 0);
    must_fail("read outside", open("/etc/passwd", O_RDONLY) < 0);
    Say("open:" + open_doors);
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }
  void Fork() {
    int made = 0;
    for (int i = 0; i < 1000; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        while (true) pause();
      }
      if (child > 0) ++made;
    }
    Say("made " + std::to_string(made));
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }
  void LongFrame() {
    const unsigned char header[] = {0xff, 0xff, 0xff, 0xff};
    if (write(3, header, sizeof header) != sizeof header) _exit(98);
    Hang();
  }
  void HalfFrame() {
    const unsigned char header[] = {100, 0, 0, 0, 'x'};
    if (write(3, header, sizeof header) != sizeof header) _exit(98);
    _exit(0);
  }
  void Steal() {
    (*end_.mutable_artifact_paths())["model"] = "/etc/passwd";
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }
  void Obedient() {
    Checkpoint("at step 5", 5);
    Progress(5);
    while (stop_ == 0) usleep(1000);
    if (stop_ == 2) Checkpoint("at step 9", 9);
    SetOutcome(stop_ == 2 ? v1::AttemptResult::OUTCOME_RELEASED
                          : v1::AttemptResult::OUTCOME_CANCELLED);
  }
  void ReadInputs() {
    for (const char* name : {"events", "checkpoint"}) {
      const auto bytes = ReadFile(start_.input_paths().at(name));
      Say(std::string(name) + "=" + bytes.value_or("unreadable"));
      if (open(start_.input_paths().at(name).c_str(), O_WRONLY) >= 0) Say("writable!");
    }
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }

  void ShowGpus() {
    const char* const visible = std::getenv("CUDA_VISIBLE_DEVICES");
    Say(std::string("visible=") + (visible == nullptr ? "(unset)" : visible));
    for (const v1::Device& gpu : start_.gpus()) Say("gpu=" + gpu.id() + " " + gpu.model());
    Say(open("/proc/devices", O_RDONLY) < 0 ? "drivers hidden" : "drivers shown");
    // Without either of these NVIDIA's driver takes the system for a broken one.
    const std::string name = "/proc/self/task/" + std::to_string(gettid()) + "/comm";
    const bool named = open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666) >= 0;
    const bool local = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) >= 0;
    Say(named && local ? "what the driver needs" : "not what the driver needs");
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }
  // Through the driver alone (cuda.h: CUresult and CUdevice are int, CUcontext is a pointer,
  // CUdeviceptr an integer of 64 bits), so that what fails is the confinement and not an engine.
  void UseGpu() {
    void* const library = dlopen("libcuda.so.1", RTLD_NOW);
    const auto call = [&](const char* name, auto... arguments) {
      const auto function = reinterpret_cast<int (*)(decltype(arguments)...)>(
          library == nullptr ? nullptr : dlsym(library, name));
      const int result = function == nullptr ? -1 : function(arguments...);
      if (result != 0) Say(std::string(name) + " gives " + std::to_string(result));
      return result == 0;
    };
    int count = 0;
    int device = 0;
    void* context = nullptr;
    uint64_t memory = 0;
    uint32_t value = 0;
    if (call("cuInit", 0u) && call("cuDeviceGetCount", &count) && call("cuDeviceGet", &device, 0) &&
        call("cuDevicePrimaryCtxRetain", &context, device) && call("cuCtxSetCurrent", context) &&
        call("cuMemAlloc_v2", &memory, size_t{1} << 28) &&
        call("cuMemsetD32_v2", memory, 0x5eedu, size_t{1} << 26) &&
        call("cuMemcpyDtoH_v2", static_cast<void*>(&value), memory, sizeof value)) {
      Say("devices=" + std::to_string(count) + (value == 0x5eed ? " works" : " is broken"));
    }
    SetOutcome(v1::AttemptResult::OUTCOME_SUCCEEDED);
  }

  v1::TaskStart start_;
  TaskReporter* reporter_ = nullptr;
  v1::TaskEnd end_;
  std::atomic<int> stop_ = 0;
};

}  // namespace
}  // namespace beamline::worker

int main(int argc, char** argv) {
  beamline::worker::Double program;
  return beamline::worker::RunTaskProgram(program, argc, argv);
}
