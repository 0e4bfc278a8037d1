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

// What goes wrong, drawn from `seed`. Each worker fails, and is drained, at random times, and comes
// back. An attempt that is lost goes on from its last checkpoint, one an hour. Preempted jobs
// answer late, and some too late. All decisions go through an Auditor, and the scheduler is
// replaced now and then by one made from its snapshot.
struct Faults {
  // 0: nothing goes wrong.
  uint64_t seed = 0;
  double failures_per_worker_month = 3;
  double drains_per_worker_month = 3;
  int64_t longest_outage_ms = 8 * 3'600'000;
  int64_t longest_answer_ms = 70'000;
  int64_t steps_per_snapshot = 20'000;
};

// What tasks say about how long they will run: nothing; what RunHistory learned from jobs of the
// same tenant and size that have ended; the truth (to see how much better a history could do).
enum class Predictions { kNone, kHistory, kPerfect };

struct SimulationResult {
  Report report;
  // Calls of Scheduler::Step, and a hash (FNV-1a) of all action lines if `hash` was asked for.
  int64_t steps = 0;
  uint64_t log_hash = 0;
  // Jobs that were larger than the cluster, and so never ran.
  int64_t parked = 0;
  // With faults: what happened, and how many actions were audited.
  int64_t failures = 0;
  int64_t drains = 0;
  int64_t late_answers = 0;
  int64_t snapshots = 0;
  int64_t audited = 0;
};

// The time that a job of this many GPUs loses when it goes on after a preemption: 7, 30 or 60 s for
// 1, up to 8 or more. Unit: milliseconds.
int64_t RestartCostMs(int32_t gpus);

// Drives the scheduler by Step alone. Without faults preempted jobs answer at once; they lose no
// progress.
SimulationResult Simulate(const Trace& trace, const Cluster& cluster,
                          const scheduler::Options& options, const Faults& faults,
                          Predictions predictions, int32_t attacker, bool hash);

}  // namespace beamline::replay
