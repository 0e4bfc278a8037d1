// Scaling studies.
#include <cmath>
#include <map>
#include <set>
#include <string>

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
// Values of one key that are each tried on the whole definition before it is accepted.
constexpr int kMaxTried = 16;

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

// Numbers of rows or threads.
void CheckCounts(Context& context, const std::string& path, const ListValue& values, double most) {
  for (const Value& value : values.values()) {
    const double number = value.number_value();
    if (value.has_number_value() && number == std::floor(number) && number >= 1 && number <= most) {
      continue;
    }
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
  if (key == kRowsKey) CheckCounts(context, path, values, kMaxRows);
  if (key == kThreadsKey) CheckCounts(context, path, values, kMaxThreads);
}

void CheckKey(Context& context, const std::string& path, const v1::Step& step,
              const std::string& key, std::map<std::string, std::string>* places) {
  if (key == kWorkersKey) {
    context.unimplemented.Add(
        path, "training of one model on several workers is not built yet: vary threads");
    return;
  }
  const bool special = key == kRowsKey || key == kThreadsKey;
  for (const v1::Parameter& parameter : context.definition.parameters()) {
    if (!special || parameter.name() != key) continue;
    context.errors.Add(path, absl::StrCat("is a parameter of this pipeline too, which leads to \"",
                                          parameter.path(), "\": give the parameter another name"));
  }
  const std::string place = StudyPath(context.definition, step, key);
  if (!special && !absl::StartsWith(place, absl::StrCat("steps.", step.name(), ".train."))) {
    context.errors.Add(
        path, absl::StrCat("leads to \"", place, "\": rows, threads, and what is below train of \"",
                           step.scaling_study().step(),
                           "\" can be varied, such as train.network.batch_size"));
  }
  const auto [other, added] = places->emplace(place, key);
  if (!added) {
    context.errors.Add(path, absl::StrCat("leads to the same place as \"", other->second, "\""));
  }
}

// Each value alone, in the definition as it stands otherwise.
void TryValues(Context& context, const std::string& path, const v1::Step& step,
               const std::string& key, const ListValue& values, const ValidateOptions& options) {
  const v1::Step& studied = *context.steps.at(step.scaling_study().step());
  int tried = 0;
  for (const Value& value : values.values()) {
    v1::PipelineDefinition variant = context.definition;
    v1::Trial trial;
    (*trial.mutable_parameters())[key] = value;
    const std::string with = absl::StrCat("with ", ValueText(value), ": ");
    const std::vector<v1::Violation> found = ApplyTrial(step.name(), trial, &variant);
    for (const v1::Violation& violation : found) {
      context.errors.Add(path, with + violation.description());
    }
    if (!found.empty()) return;
    if (FindStep(variant, step.name())->train().learner_case() != studied.train().learner_case()) {
      context.errors.Add(path, with +
                                   "another learner takes the step's place: vary what is below " +
                                   LearnerField(studied.train()));
      return;
    }
    if (++tried > kMaxTried) continue;
    for (const v1::Step& other : context.definition.steps()) {
      if (other.has_scaling_study()) ApplyTrial(other.name(), v1::Trial(), &variant);
    }
    for (v1::Step& other : *variant.mutable_steps()) other.clear_search();
    ValidateOptions quiet = options;
    quiet.positions = nullptr;
    const Verdict verdict = Validate(variant, quiet);
    for (const v1::Violation& violation : verdict.violations) {
      context.errors.Add(path, absl::StrCat(with, violation.field(), " ", violation.description()));
    }
    for (const v1::Violation& violation : verdict.unimplemented) {
      context.unimplemented.Add(path, with + violation.description());
    }
    if (!verdict.ok()) return;
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
    CheckKey(context, at, step, key, &places);
    CheckValues(context, at, key, values);
  }
  if (CountPoints(study) > kMaxStudyPoints) {
    context.errors.Add(path + ".vary", absl::StrCat("makes more than ", kMaxStudyPoints,
                                                    " combinations: list fewer values"));
  }
}

void CheckStudiedValues(Context& context, const ValidateOptions& options) {
  for (const v1::Step& step : context.definition.steps()) {
    const std::map<std::string, ListValue> vary(step.scaling_study().vary().begin(),
                                                step.scaling_study().vary().end());
    for (const auto& [key, values] : vary) {
      if (key == kWorkersKey) continue;
      TryValues(context, absl::StrCat("steps.", step.name(), ".scaling_study.vary.", key), step,
                key, values, options);
    }
  }
}

}  // namespace beamline::pipeline::validation
