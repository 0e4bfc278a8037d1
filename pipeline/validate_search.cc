// Searches.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/learners/registry.h"
#include "pipeline/schema.h"
#include "pipeline/search/search.h"
#include "pipeline/text_value.h"
#include "pipeline/trial.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr int kMaxKeys = 64;
// Values of one key that are each tried on the whole definition before it is accepted.
constexpr int kMaxTried = 16;
// Trials times folds.
constexpr int64_t kMaxTasks = 5000;

using google::protobuf::Value;
using search::kMaxTrials;

void CheckCount(Context& context, const std::string& path, int64_t value, int64_t low, int64_t high,
                bool zero_is_default) {
  CheckRange(context, path, static_cast<double>(value), static_cast<double>(low),
             static_cast<double>(high), zero_is_default);
}

void CheckAlgorithm(Context& context, const std::string& path, const v1::Search& search,
                    int epochs) {
  const auto check_trials = [&](const char* name, int trials) {
    CheckCount(context, absl::StrCat(path, ".", name, ".trials"), trials, 1, kMaxTrials, false);
  };
  const auto check_halving = [&](const char* name, int factor, int min_epochs) {
    const std::string at = absl::StrCat(path, ".", name);
    CheckCount(context, at + ".reduction_factor", factor, 2, 100, true);
    if (min_epochs == 0 || (min_epochs >= 1 && min_epochs < epochs)) return;
    context.errors.Add(at + ".min_epochs",
                       absl::StrCat("must be from 1 to below ", epochs,
                                    ", the epochs of the step, not ", min_epochs));
  };
  switch (search.algorithm_case()) {
    case v1::Search::kGrid:
      break;
    case v1::Search::kRandom:
      return check_trials("random", search.random().trials());
    case v1::Search::kSobol:
      return check_trials("sobol", search.sobol().trials());
    case v1::Search::kSuccessiveHalving:
      check_trials("successive_halving", search.successive_halving().trials());
      return check_halving("successive_halving", search.successive_halving().reduction_factor(),
                           search.successive_halving().min_epochs());
    case v1::Search::kHyperband:
      return check_halving("hyperband", search.hyperband().reduction_factor(),
                           search.hyperband().min_epochs());
    case v1::Search::kTpe:
      check_trials("tpe", search.tpe().trials());
      CheckCount(context, path + ".tpe.startup_trials", search.tpe().startup_trials(), 1,
                 kMaxTrials, true);
      return CheckCount(context, path + ".tpe.lag", search.tpe().lag(), 1, 100, true);
    case v1::Search::kPopulation:
      return CheckCount(context, path + ".population.population", search.population().population(),
                        2, kMaxTrials, false);
    case v1::Search::ALGORITHM_NOT_SET:
      context.errors.Add(path,
                         "does not say how to search: give one of grid, random, sobol, "
                         "successive_halving, hyperband, tpe, population");
  }
}

// Values that show whether a space fits its place.
std::vector<Value> ValuesToTry(const v1::Space& space) {
  std::vector<Value> values(space.choice().values().begin(), space.choice().values().end());
  const auto add = [&](const v1::Interval& interval) {
    values.emplace_back().set_number_value(interval.min());
    values.emplace_back().set_number_value(interval.max());
  };
  if (space.has_uniform()) add(space.uniform());
  if (space.has_log_uniform()) add(space.log_uniform());
  if (space.has_integer()) add(space.integer());
  if (space.has_log_integer()) add(space.log_integer());
  return values;
}

// The definition with nothing but the step in the places of its steps.
v1::PipelineDefinition Alone(const v1::PipelineDefinition& definition, const v1::Step& step) {
  v1::PipelineDefinition alone;
  *alone.mutable_parameters() = definition.parameters();
  for (const v1::Step& other : definition.steps()) {
    v1::Step& place = *alone.add_steps();
    place.set_name(other.name());
    if (other.name() == step.name()) *place.mutable_train() = other.train();
  }
  return alone;
}

// Each value alone, in the definition as it stands otherwise; of many values most in the step
// alone.
void TryValues(Context& context, const std::string& path, const v1::Step& step,
               const std::string& key, const ValidateOptions& options) {
  const v1::PipelineDefinition alone = Alone(context.definition, step);
  int tried = 0;
  // What a trial of a population may have had before: where the key is no part of it, what the
  // definition has.
  std::optional<v1::TrainStep> before;
  if (!step.search().space().at(key).when().empty()) before = step.train();
  for (const Value& value : ValuesToTry(step.search().space().at(key))) {
    const bool whole = ++tried <= kMaxTried;
    v1::PipelineDefinition variant = whole ? context.definition : alone;
    v1::Trial trial;
    (*trial.mutable_parameters())[key] = value;
    std::vector<v1::Violation> found = ApplyTrial(step.name(), trial, &variant);
    const std::string with = absl::StrCat("with ", ValueText(value), ": ");
    for (const v1::Violation& violation : found) {
      context.errors.Add(path, with + violation.description());
    }
    if (!found.empty()) return;
    const v1::Step* changed = FindStep(variant, step.name());
    if (changed->kind_case() != step.kind_case() ||
        changed->train().learner_case() != step.train().learner_case()) {
      context.errors.Add(path, with + "another learner takes the step's place: search below " +
                                   LearnerField(step.train()));
      return;
    }
    // Which workers may run a task is known before its trial is.
    if (changed->train().command().program().image() != step.train().command().program().image()) {
      context.errors.Add(path, "leads to the image of a program, which all trials share");
      return;
    }
    if (step.search().has_population()) {
      if (!before.has_value()) before = changed->train();
      if (!CheckCourse(context, path, with, *before, changed->train())) return;
    }
    if (!whole) continue;
    // Without the values that studies list, which are tried by themselves.
    for (const v1::Step& other : context.definition.steps()) {
      if (other.has_scaling_study()) ApplyTrial(other.name(), v1::Trial(), &variant);
    }
    for (v1::Step& other : *variant.mutable_steps()) other.clear_search();
    ValidateOptions quiet = options;
    quiet.positions = nullptr;
    Findings unused;
    if (options.findings != nullptr) quiet.findings = &unused;
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

bool LeadsBelow(const v1::PipelineDefinition& definition, const v1::Step& step,
                const std::string& key) {
  const std::string path = SpacePath(definition, step.name(), key);
  if (absl::StartsWith(path, absl::StrCat("steps.", step.name(), ".train."))) return true;
  for (int i = 0; i < definition.steps_size(); ++i) {
    if (definition.steps(i).name() == step.name() &&
        absl::StartsWith(path, absl::StrCat("steps.", i, ".train."))) {
      return true;
    }
  }
  return false;
}

void CheckTaskCount(Context& context, const std::string& path, const v1::Step& step) {
  const v1::Search& search = step.search();
  int64_t trials = 0;
  if (search.has_grid()) {
    trials = search::GridSize(search);
    if (trials > kMaxTrials) {
      context.errors.Add(path + ".grid",
                         absl::StrCat("has more than ", kMaxTrials,
                                      " combinations: list fewer values, or use sobol or tpe"));
      return;
    }
  }
  if (search.has_hyperband()) {
    trials = search::TrialCount({search, EpochsOf(step.train())});
    if (trials > kMaxTrials) {
      context.errors.Add(path + ".hyperband",
                         absl::StrCat("makes more than ", kMaxTrials,
                                      " trials: raise min_epochs, or set max_epochs"));
      return;
    }
  }
  const int64_t population = search.population().population();
  const int64_t generations = search.population().generations();
  if (population * generations > kMaxTasks) {
    context.errors.Add(path + ".population",
                       absl::StrCat("makes ", population, " trainings in each of ", generations,
                                    " generations, ", population * generations, " in all: at most ",
                                    kMaxTasks, " are possible, lower one of the two"));
    return;
  }
  trials =
      std::max<int64_t>({trials, search.random().trials(), search.sobol().trials(),
                         search.successive_halving().trials(), search.tpe().trials(), population});
  const int64_t folds = CountFolds(step.cross_validation());
  if (trials * folds <= kMaxTasks) return;
  context.errors.Add(path, absl::StrCat("makes ", trials, " trials of ", folds, " folds: at most ",
                                        kMaxTasks, " trainings are possible"));
}

void CheckSearch(Context& context, const std::string& path, const v1::Step& step,
                 const TargetFacts& target) {
  const v1::Search& search = step.search();
  const size_t errors_before = context.errors.list().size();
  const bool deals = search.has_successive_halving() || search.has_hyperband() ||
                     search.has_population() || search.max_epochs() > 0;
  if (deals && EpochsField(step.train()).empty()) {
    context.errors.Add(path,
                       absl::StrCat(LearnerField(step.train()),
                                    " has no epochs that could be dealt out: use grid, random, "
                                    "sobol or tpe, without max_epochs"));
    return;
  }
  CheckAlgorithm(context, path, search, EpochsOf(step.train()));
  if (search.has_population()) CheckPopulation(context, path + ".population", step);
  CheckCount(context, path + ".max_parallel", search.max_parallel(), 1, kMaxTrials, true);
  CheckCount(context, path + ".max_seconds", search.max_seconds(), 1, 1'000'000'000, true);
  CheckCount(context, path + ".max_epochs", search.max_epochs(), EpochsOf(step.train()),
             1'000'000'000, true);
  if (search.space().empty() || search.space_size() > kMaxKeys) {
    context.errors.Add(path + ".space",
                       absl::StrCat("has ", search.space_size(), " keys: give 1 to ", kMaxKeys));
  }
  const std::map<std::string, v1::Space> spaces(search.space().begin(), search.space().end());
  std::map<std::string, std::string> places;
  for (const auto& [key, space] : spaces) {
    const std::string at = absl::StrCat(path, ".space.", key);
    CheckSpace(context, at, space, search.has_grid());
    if (!LeadsBelow(context.definition, step, key)) {
      context.errors.Add(
          at, absl::StrCat("leads to \"", SpacePath(context.definition, step.name(), key),
                           "\": only what is below train of the step itself can be "
                           "searched, such as train.network.batch_size"));
    }
    const std::string epochs = absl::StrCat(".train.", EpochsField(step.train()));
    if (deals && absl::EndsWith(SpacePath(context.definition, step.name(), key), epochs)) {
      context.errors.Add(at,
                         "epochs are what this search deals out: leave them to it, or search for "
                         "them with random, sobol or tpe and without max_epochs");
    }
    const auto [other, added] =
        places.emplace(SpacePath(context.definition, step.name(), key), key);
    if (!added) {
      context.errors.Add(at, absl::StrCat("leads to the same place as \"", other->second, "\""));
    }
  }
  CheckConditions(context, path + ".space", search);
  if (!search.objective().empty()) {
    CheckMetric(context, path + ".objective", search.objective(), target, true);
  }
  if (!step.has_cross_validation() && !HasValidationRows(step.train().data().split())) {
    context.errors.Add(path,
                       "compares trials on validation rows, and the split has none: give it "
                       "some, or the step cross_validation");
  }
  if (context.errors.list().size() == errors_before) CheckTaskCount(context, path, step);
}

}  // namespace

void CheckRepetition(Context& context, const std::string& path, const v1::Step& step) {
  if (!IsRepeated(step)) return;
  if (!step.has_train()) {
    for (const char* field : {"search", "cross_validation"}) {
      const auto* descriptor = step.GetDescriptor()->FindFieldByName(field);
      if (!step.GetReflection()->HasField(step, descriptor)) continue;
      context.errors.Add(absl::StrCat(path, ".", field), "is for train steps only");
    }
    return;
  }
  const TargetFacts target = FactsOfTarget(context, step.train());
  if (target.generates) {
    context.errors.Add(absl::StrCat(path, step.has_search() ? ".search" : ".cross_validation"),
                       "a model that generates has no metric by which trainings are compared");
    return;
  }
  if (step.has_search()) CheckSearch(context, path + ".search", step, target);
  if (step.has_cross_validation()) {
    CheckCrossValidation(context, path + ".cross_validation", step, target);
  }
}

void CheckSearchedValues(Context& context, const ValidateOptions& options) {
  for (const v1::Step& step : context.definition.steps()) {
    const std::map<std::string, v1::Space> spaces(step.search().space().begin(),
                                                  step.search().space().end());
    for (const auto& [key, space] : spaces) {
      TryValues(context, absl::StrCat("steps.", step.name(), ".search.space.", key), step, key,
                options);
    }
  }
}

}  // namespace beamline::pipeline::validation
