// beamline-task: the process of one attempt at a step. Links the engine and no gRPC, so that it
// starts in milliseconds.
#include "base/clock.h"
#include "base/log.h"
#include "pipeline/executor.h"
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

class PipelineProgram : public TaskProgram {
 public:
  v1::TaskEnd Execute(const v1::TaskStart& start, TaskReporter& reporter) override {
    Sink sink(reporter);
    return pipeline::Execute(start, sink, stop_, SystemClock());
  }
  void Stop(bool checkpoint) override {
    stop_.Ask(checkpoint ? pipeline::StopToken::Request::kCheckpointAndStop
                         : pipeline::StopToken::Request::kStop);
  }

 private:
  pipeline::StopToken stop_;
};

}  // namespace
}  // namespace beamline::worker

int main(int argc, char** argv) {
  beamline::log::Start("task", beamline::log::Level::kInfo);
  beamline::worker::PipelineProgram program;
  return beamline::worker::RunTaskProgram(program, argc, argv);
}
