#include "pipeline/askable.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "pipeline/dependencies.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/violation.h"

namespace beamline::pipeline {

NoPredictions WhyNoPredictions(bool generates, const v1::TrainingData& data) {
  if (generates) {
    return {.why = "generates rows and predicts none",
            .instead = "draw them by `beamline model predict`"};
  }
  if (ReadsTokens(data)) {
    return {.why = "gives tokens and no columns", .instead = "ask it by `beamline model predict`"};
  }
  if (LearnsPairs(data)) {
    return {.why = "is of pairs of nodes, whose predictions are not built yet",
            .instead = "an evaluate step of the pipeline that trains it measures them",
            .unimplemented = true};
  }
  return {};
}

absl::Status CheckRegistered(const v1::Step& step, const v1::ModelCard& card) {
  const std::string model = ModelUseOf(step).model;
  if (model.empty()) return absl::OkStatus();
  const std::string field =
      absl::StrCat("steps.", step.name(), step.has_evaluate() ? ".evaluate" : ".predict", ".model");
  const NoPredictions no = WhyNoPredictions(card.has_adversarial(), card.data());
  Violations errors;
  Violations unimplemented;
  if (card.learner().has_command() && card.data().input().empty()) {
    errors.Add(field, absl::StrCat(model,
                                   " is what the program of a command step left, and answers for "
                                   "no rows: get it by `beamline model download`, or publish a "
                                   "train step whose learner is the program"));
  } else if (step.has_evaluate() && card.has_adversarial()) {
    errors.Add(field, absl::StrCat(model,
                                   " generates and predicts nothing that could be measured: remove "
                                   "this step"));
  } else if (step.has_predict() && !no.why.empty()) {
    (no.unimplemented ? unimplemented : errors)
        .Add(field, absl::StrCat(model, " ", A(no.why), ": ", A(no.instead)));
  } else if (card.data().has_graph()) {
    errors.Add(field,
               absl::StrCat(model,
                            " is of a graph, and a step can ask such a model only in the "
                            "pipeline that trains it, of the nodes of its own split: put "
                            "the step there",
                            step.has_predict() ? ", or ask by `beamline model predict`" : ""));
  }
  return errors.empty() ? ToUnimplemented(unimplemented.list()) : ToInvalidArgument(errors.list());
}

}  // namespace beamline::pipeline
