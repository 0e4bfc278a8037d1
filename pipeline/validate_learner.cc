// Train steps with a learner that is no network.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/examples.h"
#include "pipeline/learners/registry.h"
#include "pipeline/schema.h"
#include "pipeline/units.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// "predicts classes or numbers, or reconstructs (objective: reconstruct)".
std::string WhatItDoes(const LearnerAbilities& can) {
  std::vector<std::string> things;
  if (can.classes || can.numbers) {
    things.push_back(absl::StrCat("predicts ", can.classes ? "classes" : "",
                                  can.classes && can.numbers ? " or " : "",
                                  can.numbers ? "numbers" : ""));
  }
  if (can.reconstruct) things.push_back("reconstructs (objective: reconstruct)");
  if (can.forecast) things.push_back("forecasts (objective: forecast)");
  if (can.next_token) things.push_back("gives the next token (objective: next_token)");
  if (can.embed) things.push_back("makes vectors of tokens (objective: embed)");
  return absl::StrJoin(things, ", ");
}

bool Can(const LearnerAbilities& can, const v1::TrainingData& data, const TargetFacts& target) {
  if (Reconstructs(data)) return can.reconstruct;
  if (Forecasts(data)) return can.forecast;
  if (GivesNextToken(data)) return can.next_token;
  if (EmbedsTokens(data)) return can.embed;
  if (GuessesHidden(data) || JudgesEachStep(data) || Translates(data)) return false;
  if (!target.known) return can.classes || can.numbers;
  return target.is_class ? can.classes : can.numbers;
}

// Whether the learner is for such a target or objective, and such examples.
void CheckUse(Context& context, const std::string& path, const LearnerKind& kind,
              const v1::TrainingData& data, const TargetFacts& target) {
  const LearnerAbilities& can = kind.abilities;
  if (!Can(can, data, target)) {
    const bool number = HasTarget(data) && target.known && !target.is_class;
    const bool classes = HasTarget(data) && target.known && target.is_class;
    context.errors.Add(absl::StrCat(path, ".", kind.name),
                       absl::StrCat(WhatItDoes(can),
                                    number    ? ", but the target is a number"
                                    : classes ? ", but the target is classes"
                                              : ", and not what the data asks for",
                                    ": choose another learner, or change data.",
                                    number || classes ? "target_kind" : "objective"));
  }
  if (data.has_graph()) {
    context.errors.Add(path + ".data.graph",
                       absl::StrCat("is for networks, but the learner is ", kind.name));
  }
  if (data.has_windows() && !can.windows) {
    context.errors.Add(path + ".data.windows",
                       absl::StrCat(kind.name, " learns from single rows: remove it"));
  }
  if (data.has_sequences() && !can.sequences) {
    context.errors.Add(path + ".data.sequences",
                       absl::StrCat(kind.name, " learns from examples of equal length: remove it"));
  }
  if (!data.weight().empty() && !can.weights) {
    context.errors.Add(path + ".data.weight",
                       absl::StrCat(kind.name, " cannot weigh its rows: remove it"));
  }
}

void CheckFeatures(Context& context, const std::string& path, const LearnerKind& kind,
                   const FeatureFacts& features) {
  const LearnerAbilities& can = kind.abilities;
  // Of texts to be translated CheckUse has complained.
  if (features.target_steps > 0) return;
  if (features.code_columns > 0 && !can.codes && !can.next_token && !can.embed) {
    context.errors.Add(path + ".data.transforms",
                       absl::StrCat(kind.name,
                                    " takes numbers and no codes: use one_hot in place of "
                                    "ordinal"));
  }
}

// Examples at the most, if the number of rows is known.
int64_t RowsOf(const Context& context, const v1::TrainingData& data) {
  const auto found = context.inputs.find(data.input());
  if (found == context.inputs.end() || found->second == nullptr) return 0;
  const int64_t rows = found->second->row_count();
  return data.limit() > 0 ? std::min(rows, data.limit()) : rows;
}

LearnerFacts FactsFor(const Context& context, const v1::Step& step, const TargetFacts& target,
                      const FeatureFacts& features) {
  const v1::TrainingData& data = step.train().data();
  const ExampleShape shape = ShapeOf(data);
  LearnerFacts facts;
  facts.task = TaskOf(data, target.is_class);
  facts.classes = target.classes;
  if (facts.task == LearnerTask::kNumbers) facts.targets = 1;
  if (facts.task == LearnerTask::kForecast) facts.targets = features.features * shape.horizon;
  facts.features = features.features * std::max<int64_t>(shape.steps, 1);
  facts.code_sizes = features.code_sizes;
  facts.steps = shape.steps;
  facts.has_lengths = data.has_sequences();
  facts.rows = RowsOf(context, data);
  facts.validates = HasValidationRows(data.split()) || step.has_cross_validation();
  return facts;
}

}  // namespace

void CheckOtherLearner(Context& context, const std::string& path, const v1::Step& step,
                       const TargetFacts& target, const FeatureFacts& features,
                       const MemoryLimit& memory) {
  const v1::TrainStep& train = step.train();
  const LearnerKind& kind = *FindLearnerKind(train);
  CheckUse(context, path, kind, train.data(), target);
  CheckFeatures(context, path, kind, features);
  const std::string at = absl::StrCat(path, ".", kind.name);
  const LearnerFacts facts = FactsFor(context, step, target, features);
  const double needed = CheckLearnerFields(train, facts, at, &context.errors);
  if (context.findings != nullptr) {
    context.findings->trains[step.name()] = {{}, facts, needed};
  }
  if (needed <= static_cast<double>(memory.bytes)) return;
  context.errors.Add(
      at, absl::StrCat("needs at least ", BytesText(std::ceil(needed / (1 << 20)) * (1 << 20)),
                       " of memory to train, but the step has ",
                       BytesText(static_cast<double>(memory.bytes)), ": raise ", memory.field));
}

}  // namespace beamline::pipeline::validation
