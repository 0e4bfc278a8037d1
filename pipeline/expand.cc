#include "pipeline/expand.h"

#include "pipeline/dependencies.h"
#include "pipeline/prepare/schema.h"
#include "pipeline/trial.h"

namespace beamline::pipeline {
namespace {

v1::Resources WithDefaults(v1::Resources resources) {
  if (resources.cpus() == 0) resources.set_cpus(kDefaultCpus);
  if (resources.memory_bytes() == 0) resources.set_memory_bytes(kDefaultMemoryBytes);
  if (resources.device() == v1::DEVICE_KIND_UNSPECIFIED) {
    resources.set_device(resources.gpus() > 0 ? v1::DEVICE_KIND_CUDA : v1::DEVICE_KIND_CPU);
  }
  if (resources.device() == v1::DEVICE_KIND_CUDA && resources.gpus() == 0) resources.set_gpus(1);
  if (resources.workers().min() == 0) resources.mutable_workers()->set_min(1);
  if (resources.workers().max() == 0) {
    resources.mutable_workers()->set_max(resources.workers().min());
  }
  return resources;
}

// An input of the pipeline, or what a step before this one made.
void AddTable(const v1::PipelineDefinition& definition, const std::string& name,
              PlannedTask* task) {
  if (definition.inputs().contains(name)) {
    task->tables.push_back(name);
  } else {
    task->artifacts.push_back({name, "table"});
  }
}

void AddTables(const v1::PipelineDefinition& definition, const v1::TrainingData& data,
               PlannedTask* task) {
  AddTable(definition, data.input(), task);
  if (data.has_graph()) AddTable(definition, data.graph().arcs(), task);
  if (data.split().has_input()) AddTable(definition, data.split().input().test(), task);
}

void AddModel(const std::string& model, PlannedTask* task) {
  if (IsRegisteredModel(model)) {
    task->models.push_back(model);
  } else {
    task->artifacts.push_back({model, "model"});
  }
}

void AddNeeds(const v1::PipelineDefinition& definition, const v1::Step& step, PlannedTask* task) {
  if (step.has_prepare()) {
    for (const std::string& table : TablesOf(step.prepare())) AddTable(definition, table, task);
  } else if (step.has_train()) {
    // Its test rows are of no use to training.
    const v1::TrainingData& data = step.train().data();
    AddTable(definition, data.input(), task);
    if (data.has_graph()) AddTable(definition, data.graph().arcs(), task);
    if (!step.train().initial_model().empty()) AddModel(step.train().initial_model(), task);
  } else if (const ModelUse use = ModelUseOf(step); !use.model.empty()) {
    AddModel(use.model, task);
    if (!use.input.empty()) {
      AddTable(definition, use.input, task);
      return;
    }
    for (const v1::Step& other : definition.steps()) {
      if (other.name() == use.model) AddTables(definition, other.train().data(), task);
    }
  } else if (step.has_command()) {
    for (const std::string& input : step.command().inputs()) AddTable(definition, input, task);
    for (const std::string& model : step.command().models()) AddModel(model, task);
  } else if (step.has_publish()) {
    task->artifacts.push_back({step.publish().model(), "model"});
    for (const v1::Requirement& requirement : step.publish().requirements()) {
      task->evaluations.push_back(requirement.evaluation());
    }
  }
}

}  // namespace

PlannedTask PlanTask(const v1::PipelineDefinition& definition, const v1::Step& step,
                     const v1::Trial& trial) {
  if (step.has_scaling_study()) {
    v1::PipelineDefinition variant = definition;
    ApplyTrial(step.name(), trial, &variant);
    return PlanTask(variant, *FindStep(variant, step.name()), trial);
  }
  PlannedTask task;
  task.step = step.name();
  task.dependencies = DependenciesOf(definition, step);
  task.resources = WithDefaults(step.resources());
  if (step.retry().max_attempts() > 0) task.max_attempts = step.retry().max_attempts();
  task.timeout_seconds = step.timeout_seconds();
  AddNeeds(definition, step, &task);
  if (IsRefit(step, trial)) {
    v1::Trial fold = trial;
    const int folds = LeavesPredictions(step.train()) ? CountFolds(step.cross_validation()) : 0;
    for (int i = 1; i <= folds; ++i) {
      fold.set_fold(i);
      task.artifacts.push_back({TaskIdOf(step.name(), fold), "predictions"});
    }
  } else if (std::string before = ContinuedTask(step.name(), trial); !before.empty()) {
    task.artifacts.push_back({std::move(before), "checkpoint"});
  }
  return task;
}

std::vector<PlannedTask> Expand(const v1::PipelineDefinition& definition) {
  std::vector<PlannedTask> tasks;
  for (const int i : TopologicalOrder(definition)) {
    if (IsOnlyStudied(definition, definition.steps(i))) continue;
    tasks.push_back(PlanTask(definition, definition.steps(i), {}));
  }
  return tasks;
}

}  // namespace beamline::pipeline
