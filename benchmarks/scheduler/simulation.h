// A trace on a simulated cluster under the production scheduler, in virtual time.
#pragma once

#include <cstdint>

#include "benchmarks/scheduler/recorder.h"
#include "benchmarks/scheduler/trace.h"
#include "scheduler/scheduler.h"

namespace beamline::replay {

struct Cluster {
  int32_t nodes = 80;
  int32_t gpus_per_node = 8;
};

struct SimulationResult {
  Report report;
  // Calls of Scheduler::Step, and a hash (FNV-1a) of all action lines if `hash` was asked for.
  int64_t steps = 0;
  uint64_t log_hash = 0;
  // Jobs that were larger than the cluster, and so never ran.
  int64_t parked = 0;
};

// The time that a job of this many GPUs loses when it goes on after a preemption: 7, 30 or 60 s for
// 1, up to 8 or more. Unit: milliseconds.
int64_t RestartCostMs(int32_t gpus);

// Drives the scheduler by Step alone. Preempted jobs answer at once and lose no progress.
SimulationResult Simulate(const Trace& trace, const Cluster& cluster,
                          const scheduler::Options& options, int32_t attacker, bool hash);

}  // namespace beamline::replay
