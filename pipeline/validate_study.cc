// Scaling studies.
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "pipeline/learners/registry.h"
#include "pipeline/programs.h"
#include "pipeline/study.h"
#include "pipeline/text_value.h"
#include "pipeline/trial.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Value;

constexpr int kMaxKeys = 8;
constexpr double kMaxThreads = 1024;
constexpr double kMaxRows = 1e15;

void CheckStudied(Context& context, const std::string& path, const std::string& name) {
  const v1::TrainStep* train = context.FindTrain(name);
  if (train == nullptr) {
    context.errors.Add(path, absl::StrCat("\"", name, "\" is no train step of this pipeline",
                                          Hint(name, context.StepNames())));
    return;
  }
  const v1::Step& studied = *context.steps.at(name);
  if (studied.has_search() || studied.has_cross_validation()) {
    context.errors.Add(path, absl::StrCat("\"", name, "\" has ",
                                          studied.has_search() ? "a search" : "cross_validation",
                                          ": a study repeats plain train steps"));
  }
  if (RunsProgram(context.definition, studied)) {
    context.unimplemented.Add(path, "studies of programs are not built yet");
  }
}

// Of numbers of rows or threads the largest; 0: a key of any values.
double MostOf(const std::string& key) {
  return key == kRowsKey ? kMaxRows : key == kThreadsKey ? kMaxThreads : 0;
}

bool IsPossible(const std::string& key, const Value& value) {
  const double most = MostOf(key);
  const double number = value.number_value();
  return most == 0 || (value.has_number_value() && number == std::floor(number) && number >= 1 &&
                       number <= most);
}

void CheckCounts(Context& context, const std::string& path, const std::string& key,
                 const ListValue& values) {
  const double most = MostOf(key);
  for (const Value& value : values.values()) {
    if (IsPossible(key, value)) continue;
    context.errors.Add(path, absl::StrCat("needs whole numbers from 1 to ", NumberText(most),
                                          ", not ", ValueText(value)));
  }
}

void CheckValues(Context& context, const std::string& path, const std::string& key,
                 const ListValue& values) {
  if (values.values().empty()) {
    context.errors.Add(path, "is empty: list the values to be tried");
    return;
  }
  std::set<std::string> seen;
  for (const Value& value : values.values()) {
    if (seen.insert(ValueText(value)).second) continue;
    context.errors.Add(path, absl::StrCat("has ", ValueText(value), " twice"));
  }
  CheckCounts(context, path, key, values);
}

// What is wrong with where a key leads, whatever its values. `places`: those of the keys before it.
std::vector<std::string> ProblemsOf(const Context& context, const v1::Step& step,
                                    const std::string& key,
                                    std::map<std::string, std::string>* places) {
  std::vector<std::string> problems;
  const bool special = key == kRowsKey || key == kThreadsKey;
  for (const v1::Parameter& parameter : context.definition.parameters()) {
    if (!special || parameter.name() != key) continue;
    problems.push_back(absl::StrCat("is a parameter of this pipeline too, which leads to \"",
                                    parameter.path(), "\": give the parameter another name"));
  }
  const std::string place = StudyPath(context.definition, step, key);
  if (!special && !absl::StartsWith(place, absl::StrCat("steps.", step.name(), ".train."))) {
    problems.push_back(absl::StrCat(
        "leads to \"", place, "\": rows, threads, and what is below train of \"",
        step.scaling_study().step(), "\" can be varied, such as train.network.batch_size"));
  }
  const auto [other, added] = places->emplace(place, key);
  if (!added) {
    problems.push_back(absl::StrCat("leads to the same place as \"", other->second, "\""));
  }
  return problems;
}

// Where trainings are tried: a definition without steps, to which every table is an input.
struct Surroundings {
  v1::PipelineDefinition definition;
  ValidateOptions options;
};
Surroundings SurroundingsOf(const Context& context, const ValidateOptions& options) {
  Surroundings around{context.definition, {}};
  around.definition.clear_steps();
  around.definition.clear_parameters();
  around.options.for_run = options.for_run;
  for (const auto& [name, table] : context.inputs) {
    if (!context.definition.inputs().contains(name)) {
      (*around.definition.mutable_inputs())[name].set_dataset(name);
    }
    if (table != nullptr) around.options.tables[name] = *table;
  }
  return around;
}

// The definition with nothing but the study and the studied step in the places of its steps.
v1::PipelineDefinition Alone(const v1::PipelineDefinition& definition, const v1::Step& study) {
  v1::PipelineDefinition alone;
  *alone.mutable_parameters() = definition.parameters();
  for (const v1::Step& other : definition.steps()) {
    v1::Step& place = *alone.add_steps();
    place.set_name(other.name());
    if (other.name() == study.name() || other.name() == study.scaling_study().step()) place = other;
  }
  return alone;
}

// The training, and those whose models it and they begin with.
void AddTraining(const Context& context, const v1::Step& training,
                 v1::PipelineDefinition* definition) {
  *definition->add_steps() = training;
  std::string model = training.train().initial_model();
  while (context.FindTrain(model) != nullptr &&
         definition->steps_size() <= context.definition.steps_size()) {
    *definition->add_steps() = *context.steps.at(model);
    model = context.FindTrain(model)->initial_model();
  }
  for (v1::Step& step : *definition->mutable_steps()) {
    step.clear_after();
    step.clear_search();
    step.clear_cross_validation();
  }
}

// One value. Nothing but the training depends on it.
void TryValue(Context& context, const std::string& path, const v1::Step& step,
              const std::string& key, const Value& value, const Surroundings& around) {
  v1::PipelineDefinition alone = Alone(context.definition, step);
  v1::Trial trial;
  (*trial.mutable_parameters())[key] = value;
  const std::string with = absl::StrCat("with ", ValueText(value), ": ");
  const std::vector<v1::Violation> found = ApplyTrial(step.name(), trial, &alone);
  for (const v1::Violation& violation : found) {
    context.errors.Add(path, with + violation.description());
  }
  if (!found.empty()) return;
  const v1::TrainStep& studied = *context.FindTrain(step.scaling_study().step());
  const v1::Step& training = *FindStep(alone, step.name());
  if (training.train().learner_case() != studied.learner_case()) {
    context.errors.Add(path, with + "another learner takes the step's place: vary what is below " +
                                 LearnerField(studied));
    return;
  }
  v1::PipelineDefinition variant = around.definition;
  AddTraining(context, training, &variant);
  ValidateOptions quiet = around.options;
  Findings unused;
  if (context.findings != nullptr) quiet.findings = &unused;
  const Verdict verdict = Validate(variant, quiet);
  for (const v1::Violation& violation : verdict.violations) {
    context.errors.Add(path, absl::StrCat(with, violation.field(), " ", violation.description()));
  }
  for (const v1::Violation& violation : verdict.unimplemented) {
    context.unimplemented.Add(path, with + violation.description());
  }
}

// Each value alone, all else as it stands otherwise.
void TryValues(Context& context, const std::string& path, const v1::Step& step,
               const std::string& key, const ListValue& values, const Surroundings& around) {
  std::set<std::string> tried;
  for (const Value& value : values.values()) {
    if (!IsPossible(key, value) || !tried.insert(ValueText(value)).second) continue;
    if (tried.size() > kMaxStudyPoints) return;
    TryValue(context, path, step, key, value, around);
  }
}

}  // namespace

void CheckStudy(Context& context, const std::string& path, const v1::Step& step) {
  const v1::ScalingStudyStep& study = step.scaling_study();
  CheckStudied(context, path + ".step", study.step());
  CheckRange(context, path + ".repeats", study.repeats(), 1, kMaxStudyRepeats);
  const std::string own = path.substr(0, path.rfind('.'));
  const char* theirs = "is the studied step's: its trainings have what that step says";
  if (step.has_resources()) context.errors.Add(own + ".resources", theirs);
  if (step.has_retry()) context.errors.Add(own + ".retry", theirs);
  if (step.timeout_seconds() != 0) context.errors.Add(own + ".timeout_seconds", theirs);
  const std::map<std::string, ListValue> vary(study.vary().begin(), study.vary().end());
  if (vary.empty() || vary.size() > kMaxKeys) {
    context.errors.Add(path + ".vary", absl::StrCat("has ", vary.size(), " keys: give 1 to ",
                                                    kMaxKeys, ", such as threads: [1, 2]"));
  }
  std::map<std::string, std::string> places;
  for (const auto& [key, values] : vary) {
    const std::string at = absl::StrCat(path, ".vary.", key);
    if (key == kWorkersKey) {
      context.unimplemented.Add(
          at, "training of one model on several workers is not built yet: vary threads");
    } else {
      for (const std::string& problem : ProblemsOf(context, step, key, &places)) {
        context.errors.Add(at, problem);
      }
    }
    CheckValues(context, at, key, values);
  }
  if (CountPoints(study) > kMaxStudyPoints) {
    context.errors.Add(path + ".vary", absl::StrCat("makes more than ", kMaxStudyPoints,
                                                    " combinations: list fewer values"));
  }
}

bool OnlyStudiedValuesAreWrong(const Context& context) {
  for (const v1::Violation& violation : context.errors.list()) {
    if (!absl::StrContains(violation.field(), ".scaling_study.vary.")) return false;
  }
  return true;
}

void CheckStudiedValues(Context& context, const ValidateOptions& options) {
  std::optional<Surroundings> around;
  for (const v1::Step& step : context.definition.steps()) {
    if (context.FindTrain(step.scaling_study().step()) == nullptr) continue;
    if (!around.has_value()) around = SurroundingsOf(context, options);
    const std::map<std::string, ListValue> vary(step.scaling_study().vary().begin(),
                                                step.scaling_study().vary().end());
    std::map<std::string, std::string> places;
    for (const auto& [key, values] : vary) {
      if (key == kWorkersKey || !ProblemsOf(context, step, key, &places).empty()) continue;
      TryValues(context, absl::StrCat("steps.", step.name(), ".scaling_study.vary.", key), step,
                key, values, *around);
    }
  }
}

}  // namespace beamline::pipeline::validation
