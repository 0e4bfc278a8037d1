#include "pipeline/validate.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/ids.h"
#include "base/strings.h"
#include "pipeline/dependencies.h"
#include "pipeline/expand.h"
#include "pipeline/fill_message.h"
#include "pipeline/learners/registry.h"
#include "pipeline/parameters.h"
#include "pipeline/programs.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline {
namespace validation {
namespace {

constexpr int kMaxSteps = 1000;

std::string StepPath(const Context& context, int index) {
  const std::string& name = context.definition.steps(index).name();
  const auto found = context.steps.find(name);
  const bool by_name =
      found != context.steps.end() && found->second == &context.definition.steps(index);
  return absl::StrCat("steps.", by_name ? name : absl::StrCat(index));
}

// Where an input comes from: exactly one of file, files and dataset.
void CheckSource(Context& context, const std::string& path, const v1::Input& input,
                 const ValidateOptions& options) {
  const bool several = input.files_size() > 0;
  if (several && input.source_case() != v1::Input::SOURCE_NOT_SET) {
    context.errors.Add(path, "only one of file, files and dataset may be given");
    return;
  }
  if (!several && input.source_case() == v1::Input::SOURCE_NOT_SET) {
    context.errors.Add(path, "says none of \"file\", \"files\" and \"dataset\": give one of them");
    return;
  }
  if (input.has_dataset()) return;
  const std::string at = absl::StrCat(path, several ? ".files" : ".file");
  std::vector<std::string> files(input.files().begin(), input.files().end());
  if (!several) files.push_back(input.file());
  if (options.for_run) {
    context.errors.Add(at, absl::StrCat("\"", absl::StrJoin(files, "\", \""),
                                        several ? "\" are local files: upload them"
                                                : "\" is a local file: upload it",
                                        " and give the dataset's name for this input"));
    return;
  }
  for (size_t i = 0; i < files.size(); ++i) {
    if (!files[i].empty()) continue;
    context.errors.Add(several ? absl::StrCat(at, ".", i) : at, "is empty: give a path");
  }
}

void CheckInputs(Context& context, const ValidateOptions& options) {
  const std::map<std::string, v1::Input> inputs(context.definition.inputs().begin(),
                                                context.definition.inputs().end());
  for (const auto& [name, input] : inputs) {
    const std::string path = absl::StrCat("inputs.", name);
    context.inputs[name] = nullptr;
    if (name.empty() || name.size() > 63 || name.find_first_of("/ \t\n") != std::string::npos) {
      context.errors.Add(path, "an input's name is 1 to 63 characters without '/' and spaces");
    }
    CheckSource(context, path, input, options);
    if (const auto known = options.tables.find(name); known != options.tables.end()) {
      context.inputs[name] = &known->second;
      continue;
    }
    if (input.source_case() != v1::Input::kDataset || !options.datasets) continue;
    context.inputs[name] = options.datasets(input.dataset());
    if (context.inputs[name] == nullptr) {
      context.errors.Add(absl::StrCat(path, ".dataset"),
                         absl::StrCat("there is no dataset \"", input.dataset(),
                                      "\" in this project: upload it first"));
    }
  }
}

void CheckNames(Context& context) {
  const auto check = [&](const std::string& path, const std::string& name) {
    if (name.empty()) {
      context.errors.Add(path, "is missing: give 1 to 63 of a-z, 0-9 and '-'");
    } else if (const absl::Status status = CheckUserId(name); !status.ok()) {
      context.errors.Add(path, S(status.message()));
    }
  };
  check("name", context.definition.name());
  for (int i = 0; i < context.definition.steps_size(); ++i) {
    const v1::Step& step = context.definition.steps(i);
    if (!step.name().empty() && !context.steps.emplace(step.name(), &step).second) {
      context.errors.Add(absl::StrCat("steps.", i, ".name"),
                         absl::StrCat("a step before this one has the name \"", step.name(),
                                      "\" too: every step needs its own"));
    }
    check(absl::StrCat(StepPath(context, i), ".name"), step.name());
  }
  if (context.definition.steps_size() == 0) {
    context.errors.Add("steps", "are missing: a pipeline has at least one step");
  } else if (context.definition.steps_size() > kMaxSteps) {
    context.errors.Add("steps", absl::StrCat("are ", context.definition.steps_size(), "; at most ",
                                             kMaxSteps, " are possible"));
  }
}

void CheckGpus(Context& context, const std::string& path, const v1::Step& step) {
  const v1::Resources& resources = step.resources();
  const int64_t memory_bytes = resources.gpu_memory_bytes();
  const bool wanted = resources.gpus() > 0 || resources.device() == v1::DEVICE_KIND_CUDA;
  if (resources.gpus() < 0) context.errors.Add(path + ".gpus", "must not be negative");
  if (memory_bytes < 0) context.errors.Add(path + ".gpu_memory_bytes", "must not be negative");
  if (memory_bytes > 0 && !wanted) {
    context.errors.Add(path + ".gpu_memory_bytes",
                       "is for steps with a graphics processor: set gpus to 1 too");
  }
  if (resources.gpus() > 0 && resources.device() == v1::DEVICE_KIND_CPU) {
    context.errors.Add(path + ".device",
                       absl::StrCat("is cpu, but gpus is ", resources.gpus(),
                                    ": leave gpus out, or set device to cuda or any"));
  }
  if (wanted && RunsProgram(context.definition, step)) {
    // A program could use those that it was not given: no sandbox of ours tells them apart.
    context.unimplemented.Add(path,
                              "programs on graphics processors are not built yet: leave gpus "
                              "and device out");
  } else if (wanted && FindLearnerKind(step.train()) != nullptr) {
    context.errors.Add(path,
                       absl::StrCat(LearnerField(step.train()),
                                    " computes on processor cores only: leave gpus and device "
                                    "out"));
  }
  if (wanted && step.has_prepare()) {
    context.errors.Add(path,
                       "a prepare step computes on processor cores: leave gpus and device out");
  }
  if (wanted && step.has_publish()) {
    context.errors.Add(path, "a publish step computes nothing: leave gpus and device out");
  }
  if (resources.gpus() > 1) {
    context.unimplemented.Add(path + ".gpus",
                              "training on several graphics processors is not built yet: set "
                              "it to 1");
  }
}

void CheckResources(Context& context, const std::string& path, const v1::Resources& resources) {
  CheckRange(context, path + ".cpus", resources.cpus(), 0.1, 1024);

  constexpr int64_t kMaxMemory = int64_t{1} << 46;
  if (resources.memory_bytes() != 0 &&
      (resources.memory_bytes() < kMinMemoryBytes || resources.memory_bytes() > kMaxMemory)) {
    context.errors.Add(path + ".memory_bytes", "must be from 16 MiB to 64 TiB");
  }
  const v1::WorkerCount& workers = resources.workers();
  if (workers.min() < 0 || workers.max() < 0 ||
      (workers.max() > 0 && workers.max() < workers.min())) {
    context.errors.Add(path + ".workers", "needs 1 <= min <= max");
  } else if (workers.max() > 1 || workers.min() > 1) {
    context.unimplemented.Add(path + ".workers",
                              "training on several workers is not built yet: leave it out");
  }
}

void CheckStep(Context& context, const std::string& path, const v1::Step& step) {
  for (int i = 0; i < step.after_size(); ++i) {
    if (!context.steps.contains(step.after(i))) {
      context.errors.Add(absl::StrCat(path, ".after.", i),
                         absl::StrCat("there is no step \"", step.after(i), "\"",
                                      Hint(step.after(i), context.StepNames())));
    }
  }
  CheckResources(context, path + ".resources", step.resources());
  CheckGpus(context, path + ".resources", step);
  CheckRange(context, path + ".retry.max_attempts", step.retry().max_attempts(), 1, 100);
  CheckRange(context, path + ".timeout_seconds", static_cast<double>(step.timeout_seconds()), 1,
             1e9);
  CheckRepetition(context, path, step);
  CheckPairFolds(context, path, step);
  switch (step.kind_case()) {
    case v1::Step::kTrain:
      CheckTrain(context, path + ".train", step);
      break;
    case v1::Step::kEvaluate:
      CheckEvaluate(context, path + ".evaluate", step);
      break;
    case v1::Step::kPublish:
      CheckPublish(context, path + ".publish", step.publish());
      break;
    case v1::Step::kPrepare:
      break;  // CheckTableSteps did.
    case v1::Step::kScalingStudy:
      CheckStudy(context, path + ".scaling_study", step);
      break;
    case v1::Step::kPredict:
      CheckPredict(context, path + ".predict", step);
      break;
    case v1::Step::kCommand:
      CheckCommand(context, path + ".command", step.command());
      break;
    case v1::Step::KIND_NOT_SET:
      context.errors.Add(path,
                         "does not say what it does: give one of prepare, train, evaluate, "
                         "predict, publish, scaling_study, command");
  }
}

void CheckParameters(Context& context) {
  std::set<std::string> seen;
  for (int i = 0; i < context.definition.parameters_size(); ++i) {
    const v1::Parameter& parameter = context.definition.parameters(i);
    const std::string path = absl::StrCat("parameters.", i);
    if (parameter.name().empty() || parameter.name().find('.') != std::string::npos) {
      context.errors.Add(path + ".name", "is empty or has a dot: dots are for field paths");
    } else if (!seen.insert(parameter.name()).second) {
      context.errors.Add(path + ".name",
                         absl::StrCat("\"", parameter.name(), "\" is declared twice"));
    }
    // Clearing the field on a copy walks the path and says where it leads nowhere.
    v1::PipelineDefinition copy = context.definition;
    copy.clear_parameters();
    google::protobuf::Map<std::string, google::protobuf::Value> clear;
    clear[parameter.path()].set_null_value(google::protobuf::NULL_VALUE);
    for (const v1::Violation& violation : ApplyParameters(clear, &copy)) {
      context.errors.Add(path + ".path", violation.description());
    }
  }
}

void CheckCycles(Context& context) {
  const std::vector<std::string> cycle = FindCycle(context.definition);
  if (cycle.empty()) return;
  context.errors.Add(absl::StrCat("steps.", cycle.front()),
                     absl::StrCat("waits for itself: ", absl::StrJoin(cycle, " after ")));
}

std::vector<v1::Violation> Sorted(const Violations& violations) {
  std::vector<v1::Violation> list = violations.list();
  std::stable_sort(list.begin(), list.end(), [](const v1::Violation& a, const v1::Violation& b) {
    return std::tuple(a.line(), a.column()) < std::tuple(b.line(), b.column());
  });
  return list;
}

}  // namespace

std::vector<std::string> Context::StepNames() const {
  std::vector<std::string> names;
  for (const auto& [name, step] : steps) names.push_back(name);
  return names;
}

std::vector<std::string> Context::InputNames() const {
  std::vector<std::string> names;
  for (const auto& [name, dataset] : inputs) names.push_back(name);
  return names;
}

const v1::TrainStep* Context::FindTrain(const std::string& name) const {
  const auto found = steps.find(name);
  return found != steps.end() && found->second->has_train() ? &found->second->train() : nullptr;
}

void CheckRange(Context& context, const std::string& path, double value, double low, double high,
                bool zero_is_default) {
  if (value >= low && value <= high) return;
  if (zero_is_default && value == 0) return;
  context.errors.Add(path, absl::StrCat("must be from ", NumberText(low), " to ", NumberText(high),
                                        ", not ", NumberText(value)));
}

const v1::Column* CheckColumn(Context& context, const std::string& path, const v1::Dataset& dataset,
                              const std::string& name) {
  const v1::Column* column = FindColumn(dataset, name);
  if (column != nullptr) return column;
  const std::vector<std::string> names = ColumnNames(dataset);
  constexpr size_t kMaxListed = 20;
  const std::string hint = Hint(name, names);
  context.errors.Add(path,
                     absl::StrCat("the data has no column \"", name, "\"",
                                  !hint.empty() ? hint
                                  : names.size() <= kMaxListed
                                      ? absl::StrCat(": it has ", absl::StrJoin(names, ", "))
                                      : absl::StrCat(": see its ", names.size(), " columns")));
  return nullptr;
}

}  // namespace validation

absl::Status Verdict::ToStatus() const {
  return violations.empty() ? ToUnimplemented(unimplemented) : ToInvalidArgument(violations);
}

Verdict Validate(const v1::PipelineDefinition& definition, const ValidateOptions& options) {
  validation::Context context{definition,
                              Violations(options.positions),
                              Violations(options.positions),
                              {},
                              {},
                              options.for_run,
                              {},
                              options.findings};
  validation::CheckNames(context);
  validation::CheckInputs(context, options);
  validation::CheckTableSteps(context, options);
  for (int i = 0; i < definition.steps_size(); ++i) {
    validation::CheckStep(context, validation::StepPath(context, i), definition.steps(i));
  }
  if (options.findings != nullptr) {
    for (const auto& [name, dataset] : context.inputs) {
      if (dataset != nullptr) options.findings->tables[name] = *dataset;
    }
  }
  validation::CheckCycles(context);
  validation::CheckParameters(context);
  const bool studies = validation::OnlyStudiedValuesAreWrong(context);
  if (context.errors.empty()) validation::CheckSearchedValues(context, options);
  if (studies) validation::CheckStudiedValues(context, options);
  return {validation::Sorted(context.errors), validation::Sorted(context.unimplemented)};
}

}  // namespace beamline::pipeline
