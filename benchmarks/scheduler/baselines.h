// Policies of others on the same cluster, trace and measures, to compare with. They are written for
// comparison only and share nothing with the production scheduler.
#pragma once

#include "benchmarks/scheduler/recorder.h"
#include "benchmarks/scheduler/simulation.h"
#include "benchmarks/scheduler/trace.h"

namespace beamline::replay {

// First come first served with backfill (EASY, Lifka 1995) that knows all run times: a later job
// may start if it delays the first waiting one by nothing.
Report SimulateEasy(const Trace& trace, const Cluster& cluster, int32_t attacker);

// Two-dimensional least attained service with three queues (Tiresias, Gu et al., NSDI'19), decided
// every minute, with the restart costs of RestartCostMs. Knows no run times and no tenants.
Report SimulateLas(const Trace& trace, const Cluster& cluster, int32_t attacker);

}  // namespace beamline::replay
