#include "server/requirements.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "pipeline/expand.h"
#include "pipeline/violation.h"
#include "server/commands.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/planning.h"
#include "server/quota.h"
#include "server/worker_sessions.h"
#include "store/identity.h"
#include "store/pipelines.h"
#include "store/runs.h"
#include "store/workers.h"

namespace beamline::server {
namespace {

constexpr int64_t kRetryQueueMs = 5'000;

std::string Cores(int64_t cpu_millis) {
  return absl::StrFormat("%g core%s", static_cast<double>(cpu_millis) / 1000,
                         cpu_millis == 1000 ? "" : "s");
}

std::string Mebibytes(int64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

std::string Gpus(int64_t gpus) { return absl::StrCat(gpus, gpus == 1 ? " GPU" : " GPUs"); }

// A worker as far as it matters here.
struct Machine {
  std::string pool;
  scheduler::Capacity capacity;
};

absl::StatusOr<std::vector<Machine>> Machines(const store::View& view) {
  ASSIGN_OR_RETURN(const auto workers, store::ListWorkers(view));
  std::vector<Machine> machines;
  for (const store::StoredWorker& worker : workers) {
    scheduler::Capacity capacity = CapacityOf(worker.message);
    // One that has joined and never said what it has.
    if (capacity.cpu_millis == 0) continue;
    machines.push_back({worker.message.pool(), std::move(capacity)});
  }
  return machines;
}

// One amount that a step asks for.
struct Ask {
  const char* field;
  int64_t amount;
  // Of the project; -1: any.
  int64_t most;
  std::string (*words)(int64_t);
  int64_t (*of)(const scheduler::Capacity&);
};

int64_t CountGpus(const scheduler::Capacity& capacity, int64_t least_memory_bytes) {
  return std::count_if(
      capacity.devices.begin(), capacity.devices.end(),
      [&](const scheduler::Device& device) { return device.memory_bytes >= least_memory_bytes; });
}

int64_t LargestGpu(const scheduler::Capacity& capacity) {
  int64_t bytes = 0;
  for (const scheduler::Device& device : capacity.devices) {
    bytes = std::max(bytes, device.memory_bytes);
  }
  return bytes;
}

// GPUs that it cannot do without.
int64_t GpusOf(const scheduler::Demand& demand) {
  return demand.device == scheduler::DeviceKind::kCuda ? DeviceCount(demand) : 0;
}

std::vector<Ask> AsksOf(const scheduler::Demand& demand, const scheduler::QuotaChanged& quota) {
  const int64_t gpus = GpusOf(demand);
  return {
      {"cpus", demand.cpu_millis, quota.max_cpu_millis, Cores,
       [](const scheduler::Capacity& capacity) { return capacity.cpu_millis; }},
      {"memory_bytes", demand.memory_bytes, quota.max_memory_bytes, Mebibytes,
       [](const scheduler::Capacity& capacity) { return capacity.memory_bytes; }},
      {"gpus", gpus, quota.max_devices, Gpus,
       [](const scheduler::Capacity& capacity) { return CountGpus(capacity, 0); }},
      {"gpu_memory_bytes", gpus > 0 ? demand.gpu_memory_bytes : 0, -1, Mebibytes, LargestGpu},
  };
}

bool Holds(const scheduler::Capacity& capacity, const scheduler::Demand& demand) {
  return demand.cpu_millis <= capacity.cpu_millis && demand.memory_bytes <= capacity.memory_bytes &&
         GpusOf(demand) <= CountGpus(capacity, demand.gpu_memory_bytes);
}

// Adds what neither quota nor machines can give.
void CheckDemand(const scheduler::Demand& demand, const scheduler::QuotaChanged& quota,
                 const std::vector<Machine>& machines, const std::string& path,
                 pipeline::Violations& violations) {
  std::vector<const scheduler::Capacity*> fitting;
  for (const Machine& machine : machines) {
    if (demand.pool.empty() || machine.pool == demand.pool) fitting.push_back(&machine.capacity);
  }
  const std::string where = demand.pool.empty()
                                ? "the largest worker"
                                : absl::StrCat("the largest worker of pool ", demand.pool);
  if (fitting.empty() && !machines.empty()) {
    violations.Add(path + ".pool",
                   absl::StrCat("no worker has ever joined pool ", demand.pool,
                                ": leave it out for any worker, or name another pool"));
  }
  const size_t before = violations.list().size();
  for (const Ask& ask : AsksOf(demand, quota)) {
    if (ask.most >= 0 && ask.amount > ask.most) {
      violations.Add(absl::StrCat(path, ".", ask.field),
                     absl::StrCat("is ", ask.words(ask.amount), ", and the project may hold ",
                                  ask.words(ask.most), ": ask for at most that"));
      continue;
    }
    if (fitting.empty()) continue;
    int64_t largest = 0;
    for (const auto* capacity : fitting) largest = std::max(largest, ask.of(*capacity));
    if (ask.amount <= largest) continue;
    violations.Add(absl::StrCat(path, ".", ask.field),
                   absl::StrCat("is ", ask.words(ask.amount), ", and ", where, " has ",
                                ask.words(largest), ": ask for at most that"));
  }
  if (fitting.empty() || violations.list().size() > before) return;
  const bool together = std::any_of(fitting.begin(), fitting.end(),
                                    [&](const auto* capacity) { return Holds(*capacity, demand); });
  if (!together) {
    violations.Add(path, "no single worker has all of this together: ask for less of one of them");
  }
}

absl::Status CheckResources(const store::View& view, const v1::Project& project,
                            const v1::Run& run) {
  ASSIGN_OR_RETURN(const std::vector<Machine> machines, Machines(view));
  const scheduler::QuotaChanged quota = QuotaEvent(project);
  pipeline::Violations violations;
  for (const pipeline::PlannedTask& plan : pipeline::Expand(run.definition())) {
    CheckDemand(DemandOf(plan.resources), quota, machines,
                absl::StrCat("steps.", plan.step, ".resources"), violations);
  }
  return pipeline::ToInvalidArgument(violations.list());
}

}  // namespace

absl::Status CheckAcceptable(Transaction& transaction, const std::string& project,
                             const v1::Run& run, const Limits& limits) {
  const store::View& view = transaction.store();
  ASSIGN_OR_RETURN(const v1::Project stored, store::GetProject(view, project));
  const int64_t most = stored.quota().max_queued_runs() > 0 ? stored.quota().max_queued_runs()
                                                            : limits.max_queued_runs;
  int64_t queued = 0;
  for (const v1::RunState state : {v1::RUN_STATE_QUEUED, v1::RUN_STATE_PAUSED}) {
    ASSIGN_OR_RETURN(const int64_t count, store::CountRuns(view, project, state));
    queued += count;
  }
  if (queued >= most) {
    return Overloaded(
        absl::StrCat("the project has ", queued,
                     " runs waiting or paused already: wait for them, or ask an operator "
                     "for a larger max_queued_runs"),
        kRetryQueueMs);
  }
  RETURN_IF_ERROR(CheckCommands(view, project, run.definition()));
  for (const auto& [name, input] : run.definition().inputs()) {
    RETURN_IF_ERROR(store::GetDataset(view, project, store::IdOf(input.dataset())).status());
  }
  return CheckResources(view, stored, run);
}

}  // namespace beamline::server
