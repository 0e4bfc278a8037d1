// How the loop has an attempt run. The real one (process_executor.h) starts a confined process;
// small decorators around it add the time limit and the log; tests and the simulation have their
// own.
#pragma once

#include <memory>

#include "beamline/v1/run.pb.h"
#include "beamline/v1/worker.pb.h"

namespace beamline::worker {

// Hears of one attempt. Called on any thread, never two calls at once.
class ExecutionListener {
 public:
  virtual ~ExecutionListener() = default;
  // Something to report. `event` has its time, step and attempt.
  virtual void OnEvent(v1::Event event) = 0;
  // The end; called exactly once, and nothing after it. Blobs of the result are at the server.
  virtual void OnEnd(v1::AttemptResult result) = 0;
};

// An attempt that runs. Thread-safe; no method blocks.
class Execution {
 public:
  // Kills what still runs and waits until it is gone; no call of the listener follows.
  virtual ~Execution() = default;

  enum class StopReason {
    // It makes room, or the worker leaves: takes a checkpoint first, then ends as RELEASED.
    kRelease,
    // The run was cancelled: ends as CANCELLED.
    kCancel,
    // Nobody wants its reports any more: ends at once.
    kForget,
  };
  // Asks the attempt to end, and makes it end after a grace period. An attempt that comes to its
  // own end first keeps that result. A stronger reason (further down) replaces a weaker one.
  virtual void Stop(StopReason reason) = 0;
  // Reads no more events until resumed, so that the attempt waits when its pipe is full: the bound
  // on memory while the server is away.
  virtual void SetPaused(bool paused) = 0;
};

// Starts attempts. Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  // Never fails: what goes wrong is the attempt's end. `attempt` is kept as long as needed.
  virtual std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt> attempt,
                                           std::shared_ptr<ExecutionListener> listener) = 0;
};

}  // namespace beamline::worker
