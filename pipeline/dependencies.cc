#include "pipeline/dependencies.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "pipeline/prepare/schema.h"
#include "pipeline/study.h"

namespace beamline::pipeline {
namespace {

std::map<std::string, int> IndexOfSteps(const v1::PipelineDefinition& definition) {
  std::map<std::string, int> index;
  for (int i = 0; i < definition.steps_size(); ++i) index.emplace(definition.steps(i).name(), i);
  return index;
}

// Tables that training and its splits read.
std::vector<std::string> TablesOfData(const v1::TrainingData& data) {
  std::vector<std::string> tables = {data.input()};
  if (data.has_graph()) tables.push_back(data.graph().arcs());
  if (data.split().has_input()) tables.push_back(data.split().input().test());
  return tables;
}

bool IsMade(const v1::PipelineDefinition& definition, const std::string& name) {
  return std::any_of(definition.steps().begin(), definition.steps().end(),
                     [&](const v1::Step& step) { return MakesTable(step) && step.name() == name; });
}

// Names that `step` waits for, known or not.
std::set<std::string> NamesBefore(const v1::PipelineDefinition& definition, const v1::Step& step) {
  // It needs what the studied step needs, and not that step.
  if (step.has_scaling_study()) return NamesBefore(definition, TrainingOf(definition, step));
  std::set<std::string> names(step.after().begin(), step.after().end());
  const ModelUse use = ModelUseOf(step);
  for (const std::string& table : TablesRead(definition, step)) {
    const bool own = use.model.empty() || !use.input.empty();
    // Where those of its model are made by no step, the model's own step waits in vain.
    if (!definition.inputs().contains(table) && (own || IsMade(definition, table))) {
      names.insert(table);
    }
  }
  switch (step.kind_case()) {
    case v1::Step::kTrain:
      if (!step.train().initial_model().empty()) names.insert(step.train().initial_model());
      break;
    case v1::Step::kEvaluate:
    case v1::Step::kPredict:
      names.insert(use.model);
      break;
    case v1::Step::kPublish:
      names.insert(step.publish().model());
      for (const v1::Requirement& requirement : step.publish().requirements()) {
        names.insert(requirement.evaluation());
      }
      break;
    case v1::Step::kCommand:
      names.insert(step.command().models().begin(), step.command().models().end());
      break;
    default:
      break;
  }
  return names;
}

// For each step the indices of those before it.
std::vector<std::vector<int>> AllDependencies(const v1::PipelineDefinition& definition) {
  const std::map<std::string, int> index = IndexOfSteps(definition);
  std::vector<std::vector<int>> all;
  for (const v1::Step& step : definition.steps()) {
    std::vector<int>& before = all.emplace_back();
    for (const std::string& name : NamesBefore(definition, step)) {
      if (const auto found = index.find(name); found != index.end()) {
        before.push_back(found->second);
      }
    }
  }
  return all;
}

}  // namespace

bool MakesTable(const v1::Step& step) {
  return step.has_prepare() || step.has_predict() || !step.command().table().empty();
}

ModelUse ModelUseOf(const v1::Step& step) {
  if (step.has_evaluate()) {
    return {step.evaluate().model(), step.evaluate().input(), step.evaluate().part()};
  }
  return {step.predict().model(), step.predict().input(), step.predict().part()};
}

std::vector<std::string> TablesRead(const v1::PipelineDefinition& definition,
                                    const v1::Step& step) {
  if (step.has_scaling_study()) return TablesRead(definition, TrainingOf(definition, step));
  if (step.has_prepare()) return TablesOf(step.prepare());
  if (step.has_train()) return TablesOfData(step.train().data());
  if (step.has_command()) {
    return {step.command().inputs().begin(), step.command().inputs().end()};
  }
  const ModelUse use = ModelUseOf(step);
  if (!use.input.empty()) return {use.input};
  for (const v1::Step& other : definition.steps()) {
    const bool asked = other.has_train() && other.name() == use.model;
    if (asked) return TablesOfData(other.train().data());
  }
  return {};
}

bool IsRegisteredModel(const std::string& model) {
  const std::vector<std::string> parts = absl::StrSplit(model, '/');
  int version = 0;
  return parts.size() == 6 && parts[0] == "projects" && !parts[1].empty() && parts[2] == "models" &&
         !parts[3].empty() && parts[4] == "versions" && absl::SimpleAtoi(parts[5], &version) &&
         version > 0;
}

std::vector<std::string> DependenciesOf(const v1::PipelineDefinition& definition,
                                        const v1::Step& step) {
  const std::map<std::string, int> index = IndexOfSteps(definition);
  std::vector<std::string> known;
  for (const std::string& name : NamesBefore(definition, step)) {
    if (index.contains(name)) known.push_back(name);
  }
  return known;
}

bool IsOnlyStudied(const v1::PipelineDefinition& definition, const v1::Step& step) {
  if (!step.has_train()) return false;
  bool studied = false;
  for (const v1::Step& other : definition.steps()) {
    studied = studied || other.scaling_study().step() == step.name();
    if (NamesBefore(definition, other).contains(step.name())) return false;
  }
  return studied;
}

std::vector<std::string> TablesBehind(const v1::PipelineDefinition& definition,
                                      const std::vector<std::string>& names) {
  std::set<std::string> found(names.begin(), names.end());
  for (bool more = true; more;) {
    const size_t before = found.size();
    for (const v1::Step& step : definition.steps()) {
      if (!MakesTable(step) || !found.contains(step.name())) continue;
      for (const std::string& table : TablesRead(definition, step)) found.insert(table);
    }
    more = found.size() > before;
  }
  return {found.begin(), found.end()};
}

std::vector<v1::StepArc> ArcsOf(const v1::PipelineDefinition& definition) {
  std::vector<v1::StepArc> arcs;
  for (const v1::Step& step : definition.steps()) {
    const auto add = [&](const std::string& from) {
      v1::StepArc& arc = arcs.emplace_back();
      arc.set_from(from);
      arc.set_to(step.name());
    };
    const std::vector<std::string> tables = TablesRead(definition, step);
    for (const std::string& table : std::set<std::string>(tables.begin(), tables.end())) {
      if (definition.inputs().contains(table)) add(table);
    }
    for (const std::string& before : DependenciesOf(definition, step)) add(before);
  }
  return arcs;
}

std::vector<int> TopologicalOrder(const v1::PipelineDefinition& definition) {
  const std::vector<std::vector<int>> before = AllDependencies(definition);
  std::vector<bool> done(before.size());
  std::vector<int> order;
  for (bool progress = true; progress;) {
    progress = false;
    for (size_t i = 0; i < before.size() && !progress; ++i) {
      if (done[i]) continue;
      progress = std::all_of(before[i].begin(), before[i].end(),
                             [&](int j) { return done[static_cast<size_t>(j)]; });
      if (!progress) continue;
      done[i] = true;
      order.push_back(static_cast<int>(i));
    }
  }
  return order;
}

std::vector<std::string> FindCycle(const v1::PipelineDefinition& definition) {
  const std::vector<std::vector<int>> before = AllDependencies(definition);
  const std::vector<int> order = TopologicalOrder(definition);
  const std::set<int> ordered(order.begin(), order.end());
  int at = 0;
  while (ordered.contains(at)) ++at;
  if (at == definition.steps_size()) return {};
  // Every step that could not be ordered waits for another one such: follow them until one repeats.
  std::vector<int> path;
  while (std::find(path.begin(), path.end(), at) == path.end()) {
    path.push_back(at);
    const std::vector<int>& next = before[static_cast<size_t>(at)];
    at = *std::find_if(next.begin(), next.end(), [&](int j) { return !ordered.contains(j); });
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  path.push_back(at);
  std::vector<std::string> names;
  for (const int step : path) names.push_back(definition.steps(step).name());
  return names;
}

}  // namespace beamline::pipeline
