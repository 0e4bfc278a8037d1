// Decorator: the time limit of a step.
#pragma once

#include <memory>

#include "worker/executor.h"
#include "worker/strand.h"

namespace beamline::worker {

// Stops attempts that run for longer than their `timeout_seconds`; they end as FAILED with kind
// TIMEOUT. 0: no limit. Start and the destruction of executions belong on the strand. Owns nothing
// that it is given.
class DeadlineExecutor : public Executor {
 public:
  DeadlineExecutor(Executor& inner, Strand& strand) : inner_(inner), strand_(strand) {}
  std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt> attempt,
                                   std::shared_ptr<ExecutionListener> listener) override;

 private:
  Executor& inner_;
  Strand& strand_;
};

}  // namespace beamline::worker
