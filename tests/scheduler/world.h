// A cluster of GPUs and its users, drawn at random: gangs, caps, guarantees, preemption, late and
// missing acknowledgements, and workers that come and go. After each event everything is checked.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "tests/scheduler/cluster_model.h"

namespace beamline::scheduler {

// One scheduler and the world around it. Same seed, same everything. Not thread-safe, but worlds do
// not share anything.
class World {
 public:
  struct Config {
    uint64_t seed = 0;
    // Goes before all names.
    std::string prefix;
    // At random points, go on with a scheduler made from the snapshot of the one before.
    bool restores = false;
  };
  explicit World(const Config& config);

  void Run(int events);
  // Workers stay, tasks succeed: all that fits must end.
  void HealAndFinish();

  // Of all actions, without the prefix.
  uint64_t log_hash() const { return log_hash_; }
  std::string Snapshot() const { return scheduler_->Snapshot(); }
  const ClusterModel& model() const { return model_; }
  int64_t restores() const { return restores_; }

 private:
  int64_t Pick(int64_t below) { return static_cast<int64_t>(random_() % below); }
  TaskId Name(int64_t task) const;
  TaskId AnyTask();
  WorkerId Worker(int64_t worker) const { return WorkerId("w" + std::to_string(worker)); }

  // Time passes; timers fire on the way.
  void Pass(int64_t ms);
  void Tell(const Event& event);
  void Log(const Action& action);
  void RestoreNow();
  QuotaChanged Quota(int64_t project, int64_t guaranteed, int64_t most, int64_t weight);
  Event Seen(int64_t worker, bool draining);
  Event Queued();
  // What the worker of a task says: mostly the truth.
  Event Report();
  Event Draw();

  const Config config_;
  const Options options_;
  std::mt19937_64 random_;
  // Apart, so that a restored world draws the same events.
  std::mt19937_64 restore_random_;
  std::unique_ptr<Scheduler> scheduler_;
  ClusterModel model_;
  int64_t now_ms_ = 1;
  int64_t timer_ms_ = 0;
  int tasks_ = 0;
  int64_t restores_ = 0;
  uint64_t log_hash_ = 14695981039346656037ull;
};

}  // namespace beamline::scheduler
