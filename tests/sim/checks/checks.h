// The guarantees of docs/architecture.md, each with its checker. They look at what clients were
// told, and at what the server says when everything has healed.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "beamline/v1/run.pb.h"
#include "server/server.h"
#include "tests/sim/client.h"
#include "tests/sim/workload.h"
#include "tests/sim/world.h"

namespace beamline::sim {

// Guarantee 1: what was acknowledged is there, once, and nothing else is.
void CheckDurability(World& world, server::Server& server, const Client& client, size_t project);

// Nor from the audit: its chain is whole. `database`: the path of the store.
void CheckAuditChain(World& world, const std::string& database);

// Guarantee 2: one terminal state a task, and nothing after it; only the attempt that holds the
// task is heard; what it reported came whole and in order.
void CheckAttempts(World& world, const WantedRun& run);

// Guarantee 3: every watcher has seen the same events, 1, 2, 3, ..., and the terminal state last.
void CheckStreams(World& world, const WantedRun& run);

// Guarantees 4 and 7: a run ends as it would have without any fault, with the same model; or was
// cancelled because somebody asked. `expected`: definition -> digest of its model.
void CheckResult(World& world, const WantedRun& run, const std::vector<std::string>& expected);
// The digest of the model that the step "fit" left; empty if it left none.
std::string ModelOf(const WantedRun& run);

// Guarantee 5, now and then while everything goes on: no quota is exceeded, no worker has more than
// it can hold, no task runs twice.
void CheckQueue(World& world, const v1::ListQueueResponse& queue);

}  // namespace beamline::sim
