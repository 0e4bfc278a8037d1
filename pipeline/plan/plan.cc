#include "pipeline/plan/plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "pipeline/dependencies.h"
#include "pipeline/expand.h"
#include "pipeline/plan/advice.h"
#include "pipeline/plan/repetition.h"
#include "pipeline/plan/task_time.h"
#include "pipeline/plan/training_estimate.h"
#include "pipeline/trial.h"

namespace beamline::pipeline {
namespace {

// Trials of a search that are planned, each with a validation of the whole definition.
constexpr int kPlannedTrials = 8;

// Trainings of one step that stand for all of it: those of the first trials. Each has a definition
// of its own, which the estimate reads.
class Trainings {
 public:
  Trainings(const PlanRequest& request, const v1::Step& step) {
    const bool fold = RepetitionOf(step).folds > 0;
    if (!step.has_search()) {
      Add(step, request.findings, fold);
      return;
    }
    for (v1::PipelineDefinition& variant : FirstTrials(request.definition, step, kPlannedTrials)) {
      auto trial = std::make_unique<Trial>();
      trial->definition = std::move(variant);
      const ValidateOptions options{.datasets = request.datasets,
                                    .for_run = true,
                                    .tables = {},
                                    .findings = &trial->findings};
      const v1::Step* changed = FindStep(trial->definition, step.name());
      if (changed == nullptr || !Validate(trial->definition, options).ok()) continue;
      trials_.push_back(std::move(trial));
      Add(*changed, trials_.back()->findings, fold);
    }
    if (planned_.empty()) Add(step, request.findings, fold);
  }

  struct Planned {
    const v1::Step* step;
    std::unique_ptr<TrainingEstimate> estimate;
  };
  std::vector<Planned>& all() { return planned_; }
  // The one that needs the most.
  Planned& Largest(DeviceClass device) {
    return *std::max_element(planned_.begin(), planned_.end(), [&](Planned& a, Planned& b) {
      return a.estimate->DeviceBytes(device) < b.estimate->DeviceBytes(device);
    });
  }

 private:
  struct Trial {
    v1::PipelineDefinition definition;
    Findings findings;
  };
  void Add(const v1::Step& step, const Findings& findings, bool fold) {
    planned_.push_back({&step, std::make_unique<TrainingEstimate>(step, findings, fold)});
  }

  std::vector<std::unique_ptr<Trial>> trials_;
  std::vector<Planned> planned_;
};

// Mean time of a training on a processor, if it can be said.
struct MeanTime {
  std::optional<double> seconds;
  double guessed_share = 0;
};
MeanTime MeanTimeOn(const v1::Device& device, Trainings& trainings) {
  MeanTime mean;
  double total = 0;
  double guessed = 0;
  for (auto& [step, estimate] : trainings.all()) {
    const MachineSpeed speed(device, ThreadsOf(step->resources()));
    if (speed.unknown() || !estimate->planned() || estimate->counts().train == 0) return mean;
    const MachineSpeed::Seconds seconds = speed.OfTraining(step->train(), *estimate);
    total += seconds.total;
    guessed += seconds.guessed;
  }
  mean.seconds = total / static_cast<double>(trainings.all().size());
  mean.guessed_share = total > 0 ? guessed / total : 0;
  return mean;
}

class Planner {
 public:
  explicit Planner(const PlanRequest& request) : request_(request) {}

  v1::PlanPipelineResponse Run() {
    v1::PlanPipelineResponse response;
    std::map<std::string, std::optional<double>> ends;
    std::optional<double> last = 0;
    for (const int index : TopologicalOrder(request_.definition)) {
      if (request_.go_on != nullptr && !request_.go_on()) return response;
      const v1::Step& step = request_.definition.steps(index);
      if (IsOnlyStudied(request_.definition, step)) continue;
      v1::PlanPipelineResponse::StepPlan& plan = *response.add_steps();
      const std::optional<double> seconds = PlanStep(step, &plan);
      std::optional<double> begin = 0;
      for (const std::string& before : DependenciesOf(request_.definition, step)) {
        const std::optional<double>& end = ends[before];
        begin = begin && end ? std::optional(std::max(*begin, *end)) : std::nullopt;
      }
      ends[step.name()] = begin && seconds ? std::optional(*begin + *seconds) : std::nullopt;
      const std::optional<double>& end = ends[step.name()];
      last = last && end ? std::optional(std::max(*last, *end)) : std::nullopt;
    }
    if (last.has_value()) response.set_expected_seconds(*last);
    return response;
  }

 private:
  // How long the whole step takes, with as many of its tasks at once as the workers hold.
  std::optional<double> PlanStep(const v1::Step& step, StepPlan* plan) {
    const v1::Resources resources = PlanTask(request_.definition, step, {}).resources;
    plan->set_step(step.name());
    plan->set_memory_bytes(resources.memory_bytes());
    plan->set_tasks(1);
    int64_t slots = 0;
    for (const v1::Worker& worker : request_.workers) {
      const int held = request_.slots(worker, step, resources);
      if (held > 0) plan->set_fitting_workers(plan->fitting_workers() + 1);
      slots += held;
    }
    if (plan->fitting_workers() == 0) AdviseOnWorkers(resources, request_.workers, plan);
    std::optional<double> seconds;
    if (step.has_train()) {
      seconds = PlanTraining(step, resources, slots, plan);
    } else if (step.has_evaluate() || step.has_predict()) {
      seconds = PlanEvaluation(step, plan);
    } else if (step.has_publish()) {
      plan->set_basis("the start of a task alone: it computes nothing");
      plan->set_expected_seconds(0);
      seconds = kTaskSeconds;
    } else {
      plan->set_tasks(RepetitionOf(step).tasks);
      plan->set_basis(step.has_scaling_study()
                          ? "how long its trainings take is what the study is to measure"
                      : step.has_command() ? "nobody knows how long a program takes"
                                           : "there is no formula for prepare steps");
    }
    if (const auto taken = request_.taken.find(step.name()); taken != request_.taken.end()) {
      plan->set_expected_seconds(0);
      plan->set_basis(absl::StrCat("nothing is done: the result is that of ", taken->second,
                                   ", unless the run is to be fresh"));
      return 0;
    }
    if (plan->has_expected_seconds()) AdviseOnTime(step, plan);
    return plan->fitting_workers() > 0 ? seconds : std::nullopt;
  }

  std::optional<double> PlanTraining(const v1::Step& step, const v1::Resources& resources,
                                     int64_t slots, StepPlan* plan) {
    Trainings trainings(request_, step);
    const Repetition repetition = RepetitionOf(step);
    TrainingEstimate& first = *trainings.all().front().estimate;
    plan->set_tasks(repetition.tasks);
    plan->set_examples(first.counts().train);
    plan->set_peak_memory_bytes(
        trainings.Largest(DeviceClass::kCpu).estimate->DeviceBytes(DeviceClass::kCpu));
    if (first.planned()) {
      plan->set_parameters(first.plan().parameters);
      plan->set_flops_per_step(first.plan().flops_per_step);
      plan->set_batch_size(first.plan().batch_size);
      if (first.counts().train > 0) plan->set_optimizer_steps(first.plan().steps);
    }
    AddDevices(resources, trainings, plan);
    AdviseOnMemory(step, resources, *trainings.Largest(DeviceClass::kCpu).estimate, plan);
    if (const int parts = first.recomputed_parts(); parts > 1) {
      plan->add_advice(
          absl::StrCat("what training keeps does not fit, so that much of it is computed "
                       "twice, in ",
                       parts,
                       " parts: with more memory, or smaller batches, a step "
                       "takes up to a quarter less"));
    }
    return Time(step, resources, repetition, slots, trainings, plan);
  }

  void AddDevices(const v1::Resources& resources, Trainings& trainings, StepPlan* plan) {
    std::map<std::string, v1::PlanPipelineResponse::DevicePlan> devices;
    int64_t largest_gpu = 0;
    const bool any_gpu = trainings.all().front().estimate->planned();
    for (const v1::Worker& worker : request_.workers) {
      for (const v1::Device& device : worker.devices()) {
        const bool gpu = device.kind() == v1::DEVICE_KIND_CUDA;
        if (gpu && !any_gpu) continue;
        const DeviceClass kind = gpu ? DeviceClass::kGpu : DeviceClass::kCpu;
        v1::PlanPipelineResponse::DevicePlan& out = devices[gpu ? device.model() : "cpu"];
        if (out.device().empty()) {
          out.set_device(gpu ? device.model() : "cpu");
          TrainingEstimate& most = *trainings.Largest(kind).estimate;
          out.set_device_memory_bytes(most.DeviceBytes(kind));
          out.set_memory_bytes(most.MainBytes(kind, resources.memory_bytes()));
        }
        const int64_t has =
            gpu ? device.memory_bytes() : std::min(worker.memory_bytes(), resources.memory_bytes());
        if (gpu) largest_gpu = std::max(largest_gpu, has);
        if (out.device_memory_bytes() <= has) out.set_fits(true);
        if (gpu || out.has_expected_seconds()) continue;
        const MeanTime time = MeanTimeOn(device, trainings);
        if (time.seconds) out.set_expected_seconds(*time.seconds);
      }
    }
    if (WantsGpu(resources)) {
      const int64_t fitting = trainings.Largest(DeviceClass::kGpu)
                                  .estimate->FittingBatch(DeviceClass::kGpu, largest_gpu);
      AdviseOnGpus(devices, fitting, plan);
    }
    for (auto& [name, device] : devices) *plan->add_devices() = std::move(device);
  }

  static bool WantsGpu(const v1::Resources& resources) { return resources.gpus() > 0; }

  std::optional<double> Time(const v1::Step& step, const v1::Resources& resources,
                             const Repetition& repetition, int64_t slots, Trainings& trainings,
                             StepPlan* plan) {
    const TrainingEstimate& first = *trainings.all().front().estimate;
    if (!first.failure().empty()) {
      plan->set_basis(first.failure());
      return std::nullopt;
    }
    if (first.counts().train == 0) {
      plan->set_basis("its table is not made yet: how many rows it will have is not known");
      return std::nullopt;
    }
    if (WantsGpu(resources)) {
      plan->set_basis("the speed of graphics processors is not measured yet");
      return std::nullopt;
    }
    const v1::Device* device = MeasuredProcessor(step, resources);
    if (device == nullptr) {
      plan->set_basis("no worker at hand has measured its speed yet: ask again in a minute");
      return std::nullopt;
    }
    const MeanTime time = MeanTimeOn(*device, trainings);
    if (!time.seconds.has_value()) {
      plan->set_basis("not all trials can be planned");
      return std::nullopt;
    }
    plan->set_expected_seconds(*time.seconds);
    plan->set_basis(BasisOf(*device, step, trainings, time.guessed_share));
    const auto parallel = static_cast<double>(
        std::max<int64_t>(1, std::min(repetition.parallel, std::max<int64_t>(slots, 1))));
    const double each = *time.seconds + kTaskSeconds;
    const double rounds = std::max(repetition.trainings / parallel, 1.0);
    return each * (std::ceil(rounds - 1e-9) + (repetition.refit ? 1 : 0));
  }

  // Of the first worker at hand that may have the step and has rates; null if none has.
  const v1::Device* MeasuredProcessor(const v1::Step& step, const v1::Resources& resources) const {
    for (const v1::Worker& worker : request_.workers) {
      if (request_.slots(worker, step, resources) == 0) continue;
      for (const v1::Device& device : worker.devices()) {
        if (device.kind() == v1::DEVICE_KIND_CPU && device.rates_size() > 0) return &device;
      }
    }
    return nullptr;
  }

  static std::string BasisOf(const v1::Device& device, const v1::Step& step, Trainings& trainings,
                             double guessed_share) {
    std::string basis = absl::StrCat("measured rates of ", device.model(), " with ",
                                     ThreadsOf(step.resources()), " threads");
    const TrainingEstimate& first = *trainings.all().front().estimate;
    if (step.has_search()) {
      absl::StrAppend(&basis, "; mean of the first ", trainings.all().size(), " trials");
    }
    if (!first.counts().exact) {
      absl::StrAppend(&basis, "; how many examples there are is estimated from statistics");
    }
    if (step.train().network().early_stopping().patience() > 0) {
      absl::StrAppend(&basis, "; if it is not stopped early");
    }
    const int64_t memory = step.resources().memory_bytes();
    if (memory > 0 && first.PlaceOfFeatures(memory) != FeaturePlace::kMemory) {
      absl::StrAppend(&basis, "; ", PlaceText(first.PlaceOfFeatures(memory), first.FeatureBytes()),
                      ", whose reading is not counted");
    }
    constexpr double kWorthSaying = 0.05;
    if (guessed_share > kWorthSaying) {
      absl::StrAppend(&basis, "; ", std::lround(100 * guessed_share),
                      "% of it in kernels that were not measured");
    }
    return basis;
  }

  // A pass over the rows of the model's own split.
  std::optional<double> PlanEvaluation(const v1::Step& step, StepPlan* plan) {
    const ModelUse use = ModelUseOf(step);
    const v1::Step* trained = FindStep(request_.definition, use.model);
    plan->set_basis("there is no formula for this model");
    if (trained == nullptr || !trained->has_train()) return std::nullopt;
    TrainingEstimate estimate(*trained, request_.findings, false);
    const v1::EvaluateStep& evaluate = step.evaluate();
    const v1::Resources resources = PlanTask(request_.definition, step, {}).resources;
    const v1::Device* device = MeasuredProcessor(step, resources);
    const bool plain = use.input.empty() && !evaluate.has_bootstrap() &&
                       !evaluate.has_importance() && trained->train().has_network();
    if (!plain || !estimate.planned() || device == nullptr || WantsGpu(resources)) {
      return std::nullopt;
    }
    const int64_t rows = RowsOf(*trained, use.part, estimate.counts());
    if (rows == 0) return std::nullopt;
    plan->set_examples(rows);
    const MachineSpeed speed(*device, ThreadsOf(resources));
    const double seconds = speed.OfPass(trained->train(), estimate, rows).total;
    plan->set_expected_seconds(seconds);
    plan->set_basis(absl::StrCat("measured rates of ", device->model(), " with ",
                                 ThreadsOf(resources), " threads"));
    return seconds + kTaskSeconds;
  }

  int64_t RowsOf(const v1::Step& trained, v1::DataPart part, const ExampleCounts& counts) const {
    if (part == v1::DATA_PART_TRAIN) return counts.train;
    const v1::Split& split = trained.train().data().split();
    const v1::Dataset* other =
        split.has_input() ? request_.findings.Table(split.input().test()) : nullptr;
    const int64_t test = other != nullptr ? other->row_count() : counts.test;
    if (part == v1::DATA_PART_VALIDATION) return counts.validation;
    return test > 0 || part == v1::DATA_PART_TEST ? test : counts.validation;
  }

  // From the scheduler's word to the first line of a step, and back: the start of a process.
  static constexpr double kTaskSeconds = 0.04;

  const PlanRequest& request_;
};

}  // namespace

v1::PlanPipelineResponse MakePlan(const PlanRequest& request) { return Planner(request).Run(); }

}  // namespace beamline::pipeline
