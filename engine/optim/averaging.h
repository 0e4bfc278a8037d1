// Averages of weights over the steps of a training.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/core/thread_pool.h"
#include "engine/executor/variables.h"
#include "engine/nn/network_spec.h"

namespace beamline::engine {

// The averages a of some variables w. The first update takes a = w, each later one
//   exponential   a = a + (1 - decay) (w - a), after each step (Polyak, Juditsky 1992; EMA)
//   stochastic    a = a + (w - a) / n, n counting the updates: the plain mean, after each epoch
//                 from `start_epoch` on (SWA, Izmailov et al. 2018)
// Running statistics are averaged as weights are. Nothing depends on the number of threads. Not
// thread-safe.
class WeightAverage {
 public:
  WeightAverage() = default;
  // Averages the variables of these names (float32). They must outlive this object and keep their
  // place. Allocates all that Update needs.
  WeightAverage(const AveragingSpec& spec, Variables* variables,
                const std::vector<std::string>& names);

  // To be called after each step, and at the end of epoch `epoch` (from 0).
  void AfterStep(ThreadPool* pool);
  void AfterEpoch(int64_t epoch, ThreadPool* pool);

  // True once there is an average to use.
  bool active() const { return updates_ > 0; }
  int64_t updates() const { return updates_; }
  // By name; empty where nothing is averaged.
  const std::map<std::string, Tensor>& averages() const { return averages_; }
  // The averages change places with the variables; the same again undoes it. Nothing if not active.
  void Swap();
  // Forgets all updates.
  void Reset() { updates_ = 0; }
  // Takes up where `updates` and `averages` left off. Throws Error if a name or shape differs.
  void Restore(int64_t updates, const std::map<std::string, Tensor>& averages);

  int64_t size_bytes() const;

 private:
  struct Piece {
    float* average;
    float* variable;
    int64_t elements;
  };
  void Update(float share, ThreadPool* pool);

  AveragingSpec spec_;
  Variables* variables_ = nullptr;
  std::map<std::string, Tensor> averages_;
  std::vector<Piece> pieces_;
  int64_t updates_ = 0;
};

}  // namespace beamline::engine
