#include "server/requirements.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "pipeline/expand.h"
#include "pipeline/programs.h"
#include "pipeline/study.h"
#include "pipeline/trial.h"
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
  v1::Worker worker;
  scheduler::Capacity capacity;
};

absl::StatusOr<std::vector<Machine>> Machines(const store::View& view) {
  ASSIGN_OR_RETURN(const auto workers, store::ListWorkers(view));
  std::vector<Machine> machines;
  for (const store::StoredWorker& worker : workers) {
    scheduler::Capacity capacity = CapacityOf(worker.message);
    // One that has joined and never said what it has.
    if (capacity.cpu_millis == 0) continue;
    machines.push_back({worker.message, std::move(capacity)});
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
    if (demand.pool.empty() || machine.worker.pool() == demand.pool)
      fitting.push_back(&machine.capacity);
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

// Where the step names the image of its program, or the model that runs in it.
std::string ImageField(const v1::Step& step) {
  const std::string path = "steps." + step.name();
  if (step.has_evaluate()) return path + ".evaluate.model";
  if (step.has_predict()) return path + ".predict.model";
  return path + (step.has_command() ? "" : ".train") + ".command.program.image";
}

std::string ListImages(const std::vector<Machine>& machines) {
  constexpr size_t kMaxListed = 5;
  std::set<std::string> images;
  for (const Machine& machine : machines) {
    images.insert(machine.worker.images().begin(), machine.worker.images().end());
  }
  if (images.empty()) return "none has any image";
  std::vector<std::string> listed(images.begin(), images.end());
  if (listed.size() > kMaxListed) {
    listed.resize(kMaxListed);
    listed.push_back("...");
  }
  return absl::StrCat("there are ", absl::StrJoin(listed, ", "));
}

// Those that have the image that the step needs. Adds why none can do.
std::vector<Machine> MachinesWith(const std::vector<Machine>& machines, const std::string& image,
                                  const v1::Step& step, pipeline::Violations& violations) {
  std::vector<Machine> with;
  std::copy_if(machines.begin(), machines.end(), std::back_inserter(with),
               [&](const Machine& machine) { return HasImage(machine.worker, image); });
  if (image.empty()) return with;
  if (with.empty()) {
    violations.Add(ImageField(step),
                   absl::StrCat("needs ", image, ", which no worker has; ", ListImages(machines),
                                ": ask an operator to import it on a worker"));
  }
  const std::string& pool = step.resources().pool();
  if (with.empty() || pool.empty()) return with;
  if (std::none_of(with.begin(), with.end(),
                   [&](const Machine& machine) { return machine.worker.pool() == pool; })) {
    violations.Add(absl::StrCat("steps.", step.name(), ".resources.pool"),
                   absl::StrCat("no worker of pool ", pool, " has image ", image,
                                ": leave it out, or ask an operator to import the image there"));
    with.clear();
  }
  return with;
}

// The trainings of a study have the resources of the studied step, and threads as they are varied.
void CheckStudy(const v1::Step& step, v1::Resources resources, const scheduler::QuotaChanged& quota,
                const std::vector<Machine>& machines, pipeline::Violations& violations) {
  const std::string path = absl::StrCat("steps.", step.name(), ".scaling_study");
  const std::string studied = absl::StrCat("steps.", step.scaling_study().step(), ".resources");
  const auto threads = step.scaling_study().vary().find(pipeline::kThreadsKey);
  const bool varied = threads != step.scaling_study().vary().end();
  if (varied) {
    double most = 0;
    for (const auto& value : threads->second.values()) most = std::max(most, value.number_value());
    resources.set_cpus(most);
  }
  pipeline::Violations found;
  CheckDemand(DemandOf(resources), quota, machines, studied, found);
  for (const v1::Violation& violation : found.list()) {
    const bool of_threads = varied && violation.field() == studied + ".cpus";
    violations.Add(
        of_threads ? absl::StrCat(path, ".vary.", pipeline::kThreadsKey) : violation.field(),
        violation.description());
  }
}

absl::Status CheckResources(const store::View& view, const v1::Project& project,
                            const v1::Run& run) {
  ASSIGN_OR_RETURN(const std::vector<Machine> machines, Machines(view));
  const scheduler::QuotaChanged quota = QuotaEvent(project);
  pipeline::Violations violations;
  for (const pipeline::PlannedTask& plan : pipeline::Expand(run.definition())) {
    const v1::Step* step = pipeline::FindStep(run.definition(), plan.step);
    if (step == nullptr) return absl::InternalError("a plan has no step");
    const std::string image = pipeline::ImageOf(run.definition(), *step);
    const std::vector<Machine> fitting = MachinesWith(machines, image, *step, violations);
    if (step->has_scaling_study()) {
      CheckStudy(*step, plan.resources, quota, fitting, violations);
      continue;
    }
    CheckDemand(DemandOf(plan.resources), quota, fitting,
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
