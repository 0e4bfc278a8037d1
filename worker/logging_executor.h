// Decorator: two lines in the daemon's log per attempt.
#pragma once

#include <memory>

#include "base/clock.h"
#include "worker/executor.h"

namespace beamline::worker {

// Logs the start of each attempt, and its end with outcome and duration. Thread-safe. Owns nothing
// that it is given.
class LoggingExecutor : public Executor {
 public:
  LoggingExecutor(Executor& inner, const Clock& clock) : inner_(inner), clock_(clock) {}
  std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt> attempt,
                                   std::shared_ptr<ExecutionListener> listener) override;

 private:
  Executor& inner_;
  const Clock& clock_;
};

}  // namespace beamline::worker
