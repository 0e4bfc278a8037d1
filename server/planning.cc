#include "server/planning.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "pipeline/learners/registry.h"
#include "pipeline/programs.h"
#include "pipeline/study.h"
#include "pipeline/trial.h"
#include "pipeline/violation.h"
#include "server/commands.h"
#include "server/names.h"
#include "server/worker_sessions.h"
#include "store/identity.h"
#include "store/pipelines.h"

namespace beamline::server {
namespace {

scheduler::DeviceKind DeviceKindOf(const v1::Resources& resources) {
  if (resources.device() == v1::DEVICE_KIND_CUDA) return scheduler::DeviceKind::kCuda;
  // A task that asks for no GPU gets none: its step may be one that could not use it.
  if (resources.device() == v1::DEVICE_KIND_ANY && resources.gpus() > 0) {
    return scheduler::DeviceKind::kAny;
  }
  return scheduler::DeviceKind::kCpu;
}

// How the scheduler finds workers that have an image, of a pool or of all; as its explanations
// print it behind "pool". No pool is called so: their names have no blanks.
std::string ImageLabel(const std::string& pool, const std::string& image) {
  return absl::StrCat(pool.empty() ? "any" : pool, " with image ", image);
}

absl::Status AddModels(const store::View& view, const store::StoredRun& run,
                       const pipeline::PlannedTask& plan, v1::Attempt& attempt) {
  for (const std::string& name : plan.models) {
    ASSIGN_OR_RETURN(const ModelName parsed, ParseModelName("model", name));
    if (parsed.project != run.project) {
      return absl::NotFoundError(absl::StrCat("model ", name, " does not exist"));
    }
    ASSIGN_OR_RETURN(const v1::Model model,
                     store::GetModel(view, parsed.project, parsed.id, parsed.version));
    (*attempt.mutable_inputs())[name] = model.file();
  }
  return absl::OkStatus();
}

absl::Status AddResults(const store::View& view, const store::StoredRun& run,
                        const pipeline::PlannedTask& plan, v1::Attempt& attempt) {
  const std::string_view run_id = store::IdOf(run.message.name());
  for (const auto& artifact : plan.artifacts) {
    ASSIGN_OR_RETURN(const store::StoredTask before, store::GetTask(view, run_id, artifact.task));
    const auto& artifacts = before.message.result().artifacts();
    const auto found = artifacts.find(artifact.artifact);
    if (found == artifacts.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("step ", artifact.task, " left no \"", artifact.artifact, "\""));
    }
    (*attempt.mutable_inputs())[artifact.key()] = found->second;
  }
  for (const std::string& step : plan.evaluations) {
    ASSIGN_OR_RETURN(const store::StoredTask before, store::GetTask(view, run_id, step));
    (*attempt.mutable_evaluations())[step] = before.message.result().evaluation();
  }
  return absl::OkStatus();
}

// Tables that the task reads, by digest: workers keep them.
std::vector<scheduler::DataId> DataOf(const store::View& view, const store::StoredRun& run,
                                      const pipeline::PlannedTask& plan) {
  std::vector<scheduler::DataId> data;
  for (const std::string& table : plan.tables) {
    const auto found = run.message.definition().inputs().find(table);
    if (found == run.message.definition().inputs().end()) continue;
    const auto dataset = store::GetDataset(view, run.project, store::IdOf(found->second.dataset()));
    // One that is gone is missed when the task starts.
    if (dataset.ok()) data.emplace_back(dataset->table().digest());
  }
  return data;
}

}  // namespace

scheduler::Demand DemandOf(const v1::Resources& resources) {
  scheduler::Demand demand;
  demand.cpu_millis = static_cast<int64_t>(std::ceil(resources.cpus() * 1000));
  demand.memory_bytes = resources.memory_bytes();
  demand.device = DeviceKindOf(resources);
  demand.gpus = demand.device == scheduler::DeviceKind::kCpu ? 0 : resources.gpus();
  demand.gpu_memory_bytes =
      demand.device == scheduler::DeviceKind::kCpu ? 0 : resources.gpu_memory_bytes();
  demand.pool = resources.pool();
  demand.min_workers = std::max(1, resources.workers().min());
  demand.max_workers = std::max(demand.min_workers, resources.workers().max());
  return demand;
}

std::vector<std::string> LabelsOf(const v1::Worker& worker) {
  std::vector<std::string> labels;
  if (!worker.pool().empty()) labels.push_back(worker.pool());
  for (const std::string& image : worker.images()) {
    labels.push_back(ImageLabel("", image));
    if (!worker.pool().empty()) labels.push_back(ImageLabel(worker.pool(), image));
  }
  return labels;
}

int SlotsOf(const v1::Worker& worker, const scheduler::Demand& demand, std::string_view image) {
  const scheduler::Capacity capacity = CapacityOf(worker);
  if ((!demand.pool.empty() && demand.pool != worker.pool()) || !HasImage(worker, image)) return 0;
  constexpr int64_t kMost = 10'000;
  int64_t slots = kMost;
  const auto bound = [&](int64_t has, int64_t each) {
    if (each > 0) slots = std::min(slots, has / each);
  };
  bound(capacity.cpu_millis, demand.cpu_millis);
  bound(capacity.memory_bytes, demand.memory_bytes);
  if (demand.device == scheduler::DeviceKind::kCuda) {
    const auto large = std::count_if(capacity.devices.begin(), capacity.devices.end(),
                                     [&](const scheduler::Device& device) {
                                       return device.memory_bytes >= demand.gpu_memory_bytes;
                                     });
    bound(large, scheduler::DeviceCount(demand));
  }
  return static_cast<int>(slots);
}

bool HasImage(const v1::Worker& worker, std::string_view image) {
  return image.empty() ||
         std::find(worker.images().begin(), worker.images().end(), image) != worker.images().end();
}

absl::StatusOr<pipeline::PlannedTask> PlanOf(const v1::PipelineDefinition& definition,
                                             const store::StoredTask& task) {
  const v1::Step* step = pipeline::FindStep(definition, task.message.step());
  if (step == nullptr) {
    return absl::InternalError(absl::StrCat("the definition has no step ", task.message.step()));
  }
  return pipeline::PlanTask(definition, *step, task.message.trial());
}

absl::StatusOr<scheduler::TaskQueued> QueuedEvent(const Transaction& transaction,
                                                  const store::StoredRun& run,
                                                  const store::StoredTask& task) {
  ASSIGN_OR_RETURN(const pipeline::PlannedTask plan, PlanOf(run.message.definition(), task));
  const v1::Step* step = pipeline::FindStep(run.message.definition(), task.message.step());
  scheduler::TaskQueued event;
  event.task = scheduler::TaskId(task.message.name());
  event.run = scheduler::RunId(run.message.name());
  event.project = scheduler::ProjectId(run.project);
  event.priority = run.message.priority();
  event.demand = DemandOf(plan.resources);
  const std::string image =
      step == nullptr ? "" : pipeline::ImageOf(run.message.definition(), *step);
  if (!image.empty()) event.demand.pool = ImageLabel(event.demand.pool, image);
  event.max_attempts = plan.max_attempts;
  event.last_attempt = task.message.attempt();
  event.failures = task.failures;
  event.losses = task.losses;
  event.data = DataOf(transaction.store(), run, plan);
  event.attained = task.attained;
  // What has no epochs keeps no checkpoints, and would begin anew.
  event.preemptible =
      step != nullptr && step->has_train() && !pipeline::EpochsField(step->train()).empty();
  event.queued_at_ms = absl::ToUnixMillis(task.queued_at);
  if (task.not_before > transaction.now()) {
    // No longer than any back-off, should the wall clock have been set back since.
    event.not_before_ms = transaction.now_ms() +
                          std::min(absl::ToInt64Milliseconds(task.not_before - transaction.now()),
                                   scheduler::Options().max_back_off_ms);
  }
  return event;
}

absl::StatusOr<v1::Attempt> BuildAttempt(const store::View& view, const store::StoredRun& run,
                                         const store::StoredTask& task,
                                         const scheduler::Assign& assign) {
  ASSIGN_OR_RETURN(const pipeline::PlannedTask plan, PlanOf(run.message.definition(), task));
  v1::Attempt attempt;
  attempt.set_task(task.message.name());
  attempt.set_number(assign.attempt);
  *attempt.mutable_definition() = run.message.definition();
  if (task.message.has_trial()) {
    *attempt.mutable_trial() = task.message.trial();
    const auto wrong =
        pipeline::ApplyTrial(task.message.step(), attempt.trial(), attempt.mutable_definition());
    RETURN_IF_ERROR(pipeline::ToInvalidArgument(wrong));
  }
  // Of what is sent: the values of a trial are in it.
  const v1::Step* step = pipeline::FindStep(attempt.definition(), task.message.step());
  if (step != nullptr && pipeline::RunsProgram(attempt.definition(), *step)) {
    RETURN_IF_ERROR(CheckCommands(view, run.project, attempt.definition()));
  }
  attempt.set_step(task.message.step());
  *attempt.mutable_resources() = plan.resources;
  for (const scheduler::DeviceId& device : assign.placements.front().devices) {
    attempt.add_devices(device.value);
  }
  if (attempt.devices().empty()) attempt.add_devices("cpu");
  // A training of a study begins anew, so that its time is that of the whole.
  const bool studied = step != nullptr && pipeline::IsStudied(*step, attempt.trial());
  if (task.message.has_checkpoint() && !studied) {
    *attempt.mutable_checkpoint() = task.message.checkpoint();
  }
  attempt.set_timeout_seconds(plan.timeout_seconds);
  for (const std::string& input : plan.tables) {
    const auto& inputs = run.message.definition().inputs();
    const auto found = inputs.find(input);
    if (found == inputs.end()) {
      return absl::InternalError(absl::StrCat("the definition has no input ", input));
    }
    ASSIGN_OR_RETURN(const v1::Dataset dataset,
                     store::GetDataset(view, run.project, store::IdOf(found->second.dataset())));
    (*attempt.mutable_inputs())[input] = dataset.table();
  }
  RETURN_IF_ERROR(AddResults(view, run, plan, attempt));
  RETURN_IF_ERROR(AddModels(view, run, plan, attempt));
  return attempt;
}

}  // namespace beamline::server
