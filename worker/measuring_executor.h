// Decorator: measures how fast the engine is on this machine while nothing else runs.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "beamline/v1/cluster.pb.h"
#include "worker/executor.h"
#include "worker/rate_lines.h"
#include "worker/task_process.h"

namespace beamline::worker {

// Measures once, in a process of its own at low priority that is killed as soon as an attempt
// starts, and begins again when none runs. What it found is kept in a file and not measured again.
// Thread-safe. Owns nothing that it is given.
class MeasuringExecutor : public Executor {
 public:
  struct Options {
    // beamline-task, and what stands before "--rates" (tests).
    std::string binary;
    std::vector<std::string> arguments = {"--rates"};
    // Numbers of threads to measure with.
    std::vector<int> threads;
    // Where the rates are kept.
    std::string file;
    // Of what they are rates: engine, processor. Those in the file of another are not used.
    std::string key;
  };
  // Reads the file; starts nothing.
  MeasuringExecutor(Executor& inner, Options options);
  ~MeasuringExecutor() override;

  std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt> attempt,
                                   std::shared_ptr<ExecutionListener> listener) override;

  // Starts measuring if nothing runs and it is not known yet, takes in what was found, and puts the
  // rates into the worker's device "cpu". To be called again and again on one thread that lives as
  // long as this object; does not block.
  void Update(v1::Worker& worker);

 private:
  class Measured;
  void Began();
  void Ended();
  // Both with mutex_ held.
  void Collect();
  void Keep();

  Executor& inner_;
  const Options options_;
  std::mutex mutex_;
  // Guarded by mutex_.
  int running_ = 0;
  bool given_up_ = false;
  std::unique_ptr<TaskProcess> process_;
  std::vector<std::string> lines_;
  // With the key as its id; rates empty: not known.
  v1::Device known_;
};

}  // namespace beamline::worker
