// beamline-task: the process of one attempt at a step. Links the engine and no gRPC, so that it
// starts in milliseconds.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "engine/core/error.h"
#include "pipeline/executor.h"
#include "pipeline/plan/measure_rates.h"
#include "pipeline/programs.h"
#include "pipeline/trial.h"
#include "worker/program_keeper.h"
#include "worker/program_root.h"
#include "worker/rate_lines.h"
#include "worker/signal_name.h"
#include "worker/task_program.h"

namespace beamline::worker {
namespace {

class Sink : public pipeline::TaskSink {
 public:
  explicit Sink(TaskReporter& reporter) : reporter_(reporter) {}
  void OnEvent(const v1::Event& event) override {
    v1::TaskMessage message;
    *message.mutable_event() = event;
    reporter_.Send(message);
  }
  void OnCheckpoint(const v1::CheckpointFile& checkpoint) override {
    v1::TaskMessage message;
    *message.mutable_checkpoint() = checkpoint;
    reporter_.Send(message);
  }

 private:
  TaskReporter& reporter_;
};

// The keeper's programs in the pipeline's terms.
class Host : public pipeline::ProgramHost {
 public:
  Host(std::unique_ptr<ProgramKeeper> keeper, std::string folder, std::string name)
      : keeper_(std::move(keeper)), folder_(std::move(folder)), name_(std::move(name)) {}

  const std::string& folder() const override { return folder_; }
  const std::string& name() const override { return name_; }
  void Start(const std::vector<std::string>& arguments) override {
    lost_ = !keeper_->Run(arguments).ok();
  }
  void Terminate() override { keeper_->Send(ProgramSignal::kTerminate); }
  void Kill() override { keeper_->Send(ProgramSignal::kKill); }
  bool Hold() override { return keeper_->Hold(); }
  void GoOn() override { keeper_->Send(ProgramSignal::kGoOn); }
  std::optional<pipeline::ProgramOutcome> Wait(int64_t wait_ms) override {
    pipeline::ProgramOutcome outcome;
    outcome.kind = pipeline::ProgramOutcome::kLost;
    if (lost_) return outcome;
    const auto end = keeper_->Wait(wait_ms);
    if (!end.ok()) return outcome;
    if (!end->has_value()) return std::nullopt;
    const int status = (*end)->wait_status;
    outcome.last_words = (*end)->last_words;
    outcome.kind = KindOf(**end);
    if (WIFSIGNALED(status)) outcome.signal = SignalName(WTERMSIG(status));
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    return outcome;
  }

 private:
  static pipeline::ProgramOutcome::Kind KindOf(const ProgramEnd& end) {
    switch (end.cause) {
      case ProgramEnd::kMemory:
        return pipeline::ProgramOutcome::kMemory;
      case ProgramEnd::kProcesses:
        return pipeline::ProgramOutcome::kProcesses;
      case ProgramEnd::kUnconfined:
        return pipeline::ProgramOutcome::kUnconfined;
      case ProgramEnd::kItself:
        break;
    }
    return WIFSIGNALED(end.wait_status) ? pipeline::ProgramOutcome::kKilled
                                        : pipeline::ProgramOutcome::kExited;
  }

  const std::unique_ptr<ProgramKeeper> keeper_;
  const std::string folder_;
  const std::string name_;
  bool lost_ = false;
};

class PipelineProgram : public TaskProgram {
 public:
  bool RunsPrograms(const v1::TaskStart& start) const override {
    const v1::PipelineDefinition& definition = start.attempt().definition();
    const v1::Step* step = pipeline::FindStep(definition, start.attempt().step());
    return step != nullptr && pipeline::RunsProgram(definition, *step);
  }
  std::string ImageOf(const v1::TaskStart& start) const override {
    const v1::PipelineDefinition& definition = start.attempt().definition();
    const v1::Step* step = pipeline::FindStep(definition, start.attempt().step());
    return step == nullptr ? "" : pipeline::ImageOf(definition, *step);
  }
  void TakeKeeper(std::unique_ptr<ProgramKeeper> keeper) override { keeper_ = std::move(keeper); }
  v1::TaskEnd Execute(const v1::TaskStart& start, TaskReporter& reporter) override {
    Sink sink(reporter);
    std::optional<Host> host;
    if (keeper_ != nullptr) {
      const std::string folder = start.work_folder() + kProgramFolder;
      host.emplace(std::move(keeper_), folder, ImageOf(start).empty() ? folder : kWorkInImage);
    }
    return pipeline::Execute(start, sink, stop_, SystemClock(),
                             host.has_value() ? &*host : nullptr);
  }
  void Stop(bool checkpoint) override {
    stop_.Ask(checkpoint ? pipeline::StopToken::Request::kCheckpointAndStop
                         : pipeline::StopToken::Request::kStop);
  }

 private:
  std::unique_ptr<ProgramKeeper> keeper_;
  pipeline::StopToken stop_;
};

// "--rates 1 2 4": measures with so many threads, and prints a line for each rate.
int PrintRates(int count, char** threads) {
  // It ends with the worker, as tasks do.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) std::perror("prctl");
  // Others go first; on a machine that is idle it makes no difference.
  constexpr int kNice = 5;
  if (nice(kNice) == -1) std::perror("nice");
  try {
    for (int i = 0; i < count; ++i) {
      for (const v1::MeasuredRate& rate :
           pipeline::MeasureRates(std::max(1, std::atoi(threads[i])), [] { return false; })) {
        std::puts(RateLine(rate).c_str());
      }
    }
  } catch (const engine::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::puts(kLastRateLine);
  return 0;
}

}  // namespace
}  // namespace beamline::worker

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--rates") == 0) {
    return beamline::worker::PrintRates(argc - 2, argv + 2);
  }
  beamline::log::Start("task", beamline::log::Level::kInfo);
  beamline::worker::PipelineProgram program;
  return beamline::worker::RunTaskProgram(program, argc, argv);
}
