#include "engine/learners/training_plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "engine/core/error.h"
#include "engine/executor/executor.h"
#include "engine/learners/evaluation_batch.h"
#include "engine/nn/adversarial.h"
#include "engine/nn/network.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {
namespace {

// Adds up what the graphs of one learner hold together.
class Planner {
 public:
  Planner(const Backend& backend, int threads, PlanOptions options)
      : backend_(backend), threads_(threads), options_(options) {}

  // A graph that the learner keeps, and that runs so often.
  PlannedRuns Add(const Graph& graph, double times) {
    Graph arranged = graph;
    if (options_.updates_at_end) MoveUpdatesToEnd(&arranged);
    const Scratch scratch = ScratchFor(graph, backend_);
    working_bytes_ += PlanMemory(arranged).arena_bytes + scratch.shared_bytes +
                      threads_ * scratch.per_thread_bytes;
    PlannedRuns runs;
    runs.times = times;
    runs.kernels = WorkOf(graph);
    for (const ValueInfo& info : graph.values()) {
      const int64_t bytes = info.shape.NumElements() * SizeOf(info.dtype);
      if (info.role == Role::kInput) runs.input_bytes += static_cast<double>(bytes);
      if (info.role != Role::kParameter && info.role != Role::kState) continue;
      if (!variables_.emplace(info.name, bytes).second) continue;
      if (info.role == Role::kParameter) parameters_ += info.shape.NumElements();
    }
    return runs;
  }

  int64_t parameters() const { return parameters_; }
  int64_t working_bytes() const { return working_bytes_; }
  int64_t variable_bytes() const {
    return Sum([](const std::string&) { return true; });
  }
  // Of the model without the optimiser's state.
  int64_t weight_bytes() const {
    return Sum([](const std::string& name) { return !name.starts_with("optimizer/"); });
  }

 private:
  template <typename Counts>
  int64_t Sum(const Counts& counts) const {
    int64_t bytes = 0;
    for (const auto& [name, size] : variables_) bytes += counts(name) ? size : 0;
    return bytes;
  }

  const Backend& backend_;
  const int threads_;
  const PlanOptions options_;
  std::map<std::string, int64_t> variables_;
  int64_t parameters_ = 0;
  int64_t working_bytes_ = 0;
};

// What does not depend on the graphs.
TrainingPlan Begin(int64_t rows, int64_t batch_size, int64_t epochs) {
  if (rows < 1) Fail("there are no training rows");
  TrainingPlan plan;
  plan.batch_size = std::min(batch_size, rows);
  plan.steps_per_epoch = (rows + plan.batch_size - 1) / plan.batch_size;
  plan.steps = epochs * plan.steps_per_epoch;
  return plan;
}

void Finish(const Planner& planner, int64_t rows, int64_t kept_bytes, TrainingPlan* plan) {
  plan->parameters = planner.parameters();
  plan->peak_bytes = planner.working_bytes() + planner.variable_bytes() + kept_bytes +
                     rows * static_cast<int64_t>(sizeof(int64_t));
}

template <typename Spec>
int64_t FittingBatchOf(Spec spec, const BatchLayout& layout, int64_t rows, int64_t validation_rows,
                       int64_t limit_bytes, PlanOptions options) {
  const int64_t most = std::min(spec.batch_size, rows) - 1;
  for (int64_t batch = most < 1 ? 0 : LargestPowerOfTwo(most); batch >= 1; batch /= 2) {
    spec.batch_size = batch;
    const TrainingPlan plan = PlanTraining(spec, layout, rows, validation_rows, options);
    if (plan.peak_bytes <= limit_bytes) return batch;
  }
  return 0;
}

}  // namespace

TrainingPlan PlanTraining(const NetworkSpec& spec, const BatchLayout& layout, int64_t rows,
                          int64_t validation_rows, PlanOptions options) {
  TrainingPlan plan = Begin(rows, spec.batch_size, spec.epochs);
  Planner planner(FindBackend(spec.backend), spec.threads, options);
  const auto epochs = static_cast<double>(spec.epochs);
  const auto train = [&](int64_t batch, int64_t times) {
    const Network made = BuildNetwork(spec, layout, batch, NetworkMode::kTraining);
    plan.runs.push_back(planner.Add(made.graph, epochs * static_cast<double>(times)));
    return static_cast<double>(ProductFlops(made.graph));
  };
  plan.flops_per_step = train(plan.batch_size, rows / plan.batch_size);
  if (rows % plan.batch_size != 0) train(rows % plan.batch_size, 1);
  if (validation_rows > 0) {
    const int64_t batch = EvaluationBatch(validation_rows, LargestEvaluationBatch(spec, layout));
    const Network made = BuildNetwork(spec, layout, batch, NetworkMode::kEvaluation);
    const auto times = static_cast<double>((validation_rows + batch - 1) / batch);
    plan.validation.push_back(planner.Add(made.graph, times));
    plan.runs.push_back(plan.validation.back());
    plan.runs.back().times *= epochs;
  }
  int64_t kept = 0;
  if (spec.averaging.kind != AveragingKind::kNone) kept += planner.weight_bytes();
  if (spec.early_stopping.patience > 0 && spec.early_stopping.restore_best) {
    kept += planner.weight_bytes();
  }
  Finish(planner, rows, kept, &plan);
  return plan;
}

TrainingPlan PlanTraining(const AdversarialSpec& spec, const BatchLayout& layout, int64_t rows,
                          int64_t validation_rows, PlanOptions options) {
  TrainingPlan plan = Begin(rows, spec.batch_size, spec.epochs);
  Planner planner(FindBackend(spec.backend), spec.threads, options);
  const auto epochs = static_cast<double>(spec.epochs);
  const auto train = [&](int64_t batch, int64_t times) {
    double flops = 0;
    for (const AdversarialMode mode :
         {AdversarialMode::kDiscriminatorStep, AdversarialMode::kGeneratorStep}) {
      const bool generator = mode == AdversarialMode::kGeneratorStep;
      const double share = generator ? 1 / static_cast<double>(spec.discriminator_steps) : 1;
      const AdversarialNetwork made = BuildAdversarial(spec, layout, batch, mode);
      plan.runs.push_back(planner.Add(made.graph, share * epochs * static_cast<double>(times)));
      flops += share * static_cast<double>(ProductFlops(made.graph));
    }
    return flops;
  };
  plan.flops_per_step = train(plan.batch_size, rows / plan.batch_size);
  if (rows % plan.batch_size != 0) train(rows % plan.batch_size, 1);
  if (validation_rows > 0) {
    const int64_t batch = EvaluationBatch(validation_rows, kLargestAdversarialBatch);
    const AdversarialNetwork made =
        BuildAdversarial(spec, layout, batch, AdversarialMode::kEvaluation);
    const auto times = static_cast<double>((validation_rows + batch - 1) / batch);
    plan.validation.push_back(planner.Add(made.graph, times));
    plan.runs.push_back(plan.validation.back());
    plan.runs.back().times *= epochs;
  }
  Finish(planner, rows, 0, &plan);
  return plan;
}

Recomputation ChooseParts(NetworkSpec spec, const BatchLayout& layout, int64_t rows,
                          int64_t validation_rows, int64_t limit_bytes, PlanOptions options) {
  Recomputation least;
  for (const int parts : {1, 2, 3, 4, 6, 8, 12, 16, 24, 32}) {
    spec.recomputed_parts = parts;
    const int64_t peak = PlanTraining(spec, layout, rows, validation_rows, options).peak_bytes;
    if (parts == 1 || peak < least.peak_bytes) least = {parts, peak};
    if (peak <= limit_bytes) return {parts, peak};
  }
  return least;
}

int FittingParts(NetworkSpec spec, const BatchLayout& layout, int64_t rows, int64_t validation_rows,
                 int64_t limit_bytes, PlanOptions options) {
  const Recomputation chosen =
      ChooseParts(std::move(spec), layout, rows, validation_rows, limit_bytes, options);
  return chosen.peak_bytes <= limit_bytes ? chosen.parts : 0;
}

std::vector<PlannedRuns> PlanPass(const NetworkSpec& spec, const BatchLayout& layout,
                                  int64_t rows) {
  const int64_t largest = LargestEvaluationBatch(spec, layout);
  Planner planner(FindBackend(spec.backend), spec.threads, {});
  std::vector<PlannedRuns> runs;
  while (rows > 0) {
    const int64_t batch = std::min(LargestPowerOfTwo(rows), largest);
    const int64_t times = rows / batch;
    const Network made = BuildNetwork(spec, layout, batch, NetworkMode::kPrediction);
    runs.push_back(planner.Add(made.graph, static_cast<double>(times)));
    rows -= times * batch;
  }
  return runs;
}

int64_t FittingBatch(NetworkSpec spec, const BatchLayout& layout, int64_t rows,
                     int64_t validation_rows, int64_t limit_bytes, PlanOptions options) {
  return FittingBatchOf(std::move(spec), layout, rows, validation_rows, limit_bytes, options);
}

int64_t FittingBatch(AdversarialSpec spec, const BatchLayout& layout, int64_t rows,
                     int64_t validation_rows, int64_t limit_bytes, PlanOptions options) {
  return FittingBatchOf(std::move(spec), layout, rows, validation_rows, limit_bytes, options);
}

}  // namespace beamline::engine
