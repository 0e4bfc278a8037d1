// Runs one attempt at a task: the only place where a step's meaning meets the engine.
#pragma once

#include <atomic>

#include "base/clock.h"
#include "beamline/v1/task.pb.h"
#include "pipeline/program_host.h"

namespace beamline::pipeline {

// Receives what a running task says. Called on the thread that calls Execute, in order.
class TaskSink {
 public:
  virtual ~TaskSink() = default;
  // `event` has time, step and attempt, but no sequence: the server gives that.
  virtual void OnEvent(const v1::Event& event) = 0;
  // A complete, synced file in the work folder. The executor never touches it again; of several,
  // only the newest matters, and whoever receives them removes the older ones.
  virtual void OnCheckpoint(const v1::CheckpointFile& checkpoint) = 0;
};

// How a running task is asked to stop. Thread-safe.
class StopToken {
 public:
  enum class Request : int {
    kNone = 0,
    // Stop within one step; the outcome is CANCELLED.
    kStop = 1,
    // Take a checkpoint first; the outcome is RELEASED. A task that has nothing to keep (any but
    // a train step) ends RELEASED without one.
    kCheckpointAndStop = 2,
  };
  // A later request replaces an earlier one, but kStop stays.
  void Ask(Request request);
  Request request() const { return static_cast<Request>(request_.load(std::memory_order_acquire)); }

 private:
  std::atomic<int> request_{0};
};

// Runs the attempt to its end. Reads start.input_paths, writes below start.work_folder only.
//
// Events: Progress when loading begins, after the first optimiser step at once, then at most five
// a second, and after the last step; MetricValue after each epoch; the Evaluation of an evaluate
// step; LogLines of the engine. Progress.total_steps is right from the first one on.
//
// The end: SUCCEEDED with metrics, evaluation, card and lineage, and "model" among artifact_paths
// for a train step; FAILED with kind USER for everything that the definition or the data is to
// blame for (field set where known), a result or event of more than 2 MiB included, INFRASTRUCTURE
// if a file cannot be read or written, OUT_OF_MEMORY if memory cannot be had, UNIMPLEMENTED for a
// kind of step that is not built. Never throws.
//
// The model file depends on definition, data, seed and, where the attempt has a GPU, on that: not
// on threads, attempts, checkpoints or time.
//
// `programs`: where the user's programs run; needed for steps of which RunsProgram (programs.h) is
// true. What they leave is theirs alone: another run of the same program may leave something else.
v1::TaskEnd Execute(const v1::TaskStart& start, TaskSink& sink, const StopToken& stop,
                    const Clock& clock, ProgramHost* programs = nullptr);

}  // namespace beamline::pipeline
