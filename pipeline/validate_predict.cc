// Steps that ask a model of rows; predict steps.
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "pipeline/askable.h"
#include "pipeline/dependencies.h"
#include "pipeline/schema.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

void CheckModelName(Context& context, const std::string& path, const std::string& model) {
  if (context.FindTrain(model) != nullptr || IsRegisteredModel(model)) return;
  context.errors.Add(path, model.empty()
                               ? "is missing: name a train step"
                               : absl::StrCat("\"", model,
                                              "\" is no train step of this "
                                              "pipeline and no \"projects/P/models/M/versions/V\"",
                                              Hint(model, context.StepNames())));
}

// The split of the model's own step must have such rows.
void CheckPart(Context& context, const std::string& path, const ModelUse& use,
               const v1::Split& split) {
  const bool wants_test = use.part == v1::DATA_PART_TEST;
  const bool wants_validation = use.part == v1::DATA_PART_VALIDATION;
  if (use.part == v1::DATA_PART_TRAIN || (wants_test && HasTestRows(split)) ||
      (wants_validation && HasValidationRows(split))) {
    return;
  }
  if (!wants_test && !wants_validation && (HasTestRows(split) || HasValidationRows(split))) return;
  context.errors.Add(path + (wants_test || wants_validation ? ".part" : ".model"),
                     absl::StrCat("the split of step \"", use.model, "\" has no ",
                                  wants_validation ? "validation" : "test",
                                  " rows: add a split, or give an input"));
}

}  // namespace

AskedModel CheckModelUse(Context& context, const std::string& path, const v1::Step& step) {
  const ModelUse use = ModelUseOf(step);
  CheckModelName(context, path + ".model", use.model);
  if (!use.input.empty() && use.part != v1::DATA_PART_UNSPECIFIED) {
    context.errors.Add(path + ".part",
                       "only one of part and input may be given: all rows of an "
                       "input are used");
  }
  AskedModel asked;
  asked.train = context.FindTrain(use.model);
  if (!use.input.empty()) asked.dataset = CheckInput(context, path + ".input", use.input);
  if (use.input.empty() && IsRegisteredModel(use.model)) {
    context.errors.Add(path + ".input",
                       "is missing: a registered model has no rows of its own "
                       "in this pipeline");
  }
  if (asked.train == nullptr) return asked;
  const v1::TrainingData& data = asked.train->data();
  if (use.input.empty()) CheckPart(context, path, use, data.split());
  const auto trained_on = context.inputs.find(data.input());
  if (asked.dataset != nullptr && trained_on != context.inputs.end() &&
      trained_on->second != nullptr) {
    CheckOtherInput(context, path + ".input", *asked.dataset, data, *trained_on->second,
                    step.has_evaluate());
  }
  return asked;
}

void CheckPredict(Context& context, const std::string& path, const v1::Step& step) {
  const v1::PredictStep& predict = step.predict();
  const v1::TrainStep* train = CheckModelUse(context, path, step).train;
  if (train == nullptr) return;
  const std::string model = absl::StrCat("step \"", predict.model(), "\" ");
  const NoPredictions no = WhyNoPredictions(train->has_adversarial(), train->data());
  if (no.unimplemented) {
    context.unimplemented.Add(path + ".model", absl::StrCat(model, A(no.why), ": ", A(no.instead)));
  } else if (!no.why.empty()) {
    context.errors.Add(path + ".model",
                       absl::StrCat(model, A(no.why), ": publish it, and ", A(no.instead)));
  } else if (train->data().has_graph() && !predict.input().empty()) {
    context.errors.Add(path + ".input",
                       "a model of a graph predicts the nodes of its own split only: leave it out");
  }
}

}  // namespace beamline::pipeline::validation
