// What shape a network's output must have for its loss, its objective and its data.
#include <algorithm>

#include "engine/core/error.h"
#include "engine/nn/network.h"

namespace beamline::engine {

int64_t OutputsNeeded(const LossSpec& loss, const BatchLayout& layout) {
  if (loss.kind == LossKind::kWasserstein) {
    Fail("the loss ", Name(loss.kind),
         " has no bound: it is for the critic of the learner \"adversarial\"");
  }
  if (ComparesRows(loss.kind)) {
    if (layout.classes < 2) {
      Fail("the loss ", Name(loss.kind), " needs a class as target: it says which rows are alike");
    }
    return 0;
  }
  if (TakesLabels(loss.kind)) {
    const char* name = loss.kind == LossKind::kCrossEntropy ? "cross-entropy" : "this loss";
    if (layout.classes < 2) {
      Fail(name,
           " needs a class as target, but the target is numeric: make the target categorical, or "
           "use mean squared error");
    }
    return layout.classes;
  }
  if (IsForClasses(loss.kind)) {
    if (layout.classes != 0 && layout.classes != 2) {
      Fail("binary cross-entropy, hinge and focal need a target of two classes, but there are ",
           layout.classes, ": use cross-entropy");
    }
    return layout.classes == 2 ? 1 : std::max<int64_t>(layout.targets, 1);
  }
  if (layout.classes > 0) {
    Fail("the loss ", Name(loss.kind),
         " needs a numeric target, but the target is a class: "
         "use cross-entropy");
  }
  return std::max<int64_t>(layout.targets, 1);
}

int64_t OutputsNeeded(const NetworkSpec& spec, const BatchLayout& layout) {
  if (spec.objective == Objective::kTarget) return OutputsNeeded(spec.loss, layout);
  if (spec.objective == Objective::kEachStep) {
    if (layout.target_steps < 1) Fail("the data has one target a row, and none of each step");
    if (ComparesRows(spec.loss.kind)) {
      Fail("the loss ", Name(spec.loss.kind), " compares rows, but each step has a target: use ",
           "cross-entropy");
    }
    return OutputsNeeded(spec.loss, layout);
  }
  const LossKind loss = spec.loss.kind;
  if (TakesLabels(loss) || loss == LossKind::kHinge || loss == LossKind::kFocal ||
      loss == LossKind::kKullbackLeibler || !spec.loss.class_weights.empty()) {
    Fail("the loss ", Name(loss), spec.loss.class_weights.empty() ? "" : " with class weights",
         " is for classes, but the network reconstructs its features: use mean squared error, or "
         "binary cross-entropy for features in [0, 1]");
  }
  if (layout.features < 1) Fail("there are no features to reconstruct: all columns are codes");
  return layout.features;
}

bool TakesTarget(const LayerSpec& layer) {
  return std::find(layer.inputs.begin(), layer.inputs.end(), kTargetInput) != layer.inputs.end();
}

int64_t Vocabulary(const NetworkSpec& spec) {
  int64_t vocabulary = 0;
  for (const LayerSpec& layer : spec.layers) {
    if (layer.kind != LayerKind::kEmbedding) continue;
    if (spec.objective == Objective::kTranslate && !TakesTarget(layer)) continue;
    for (const int64_t categories : layer.categories) {
      vocabulary = vocabulary == 0 ? categories : std::min(vocabulary, categories);
    }
  }
  return vocabulary;
}

Shape OutputShape(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch) {
  if (spec.objective == Objective::kEachStep) {
    return {batch, layout.target_steps, OutputsNeeded(spec, layout)};
  }
  const bool masked = spec.objective == Objective::kMasked;
  const bool translates = spec.objective == Objective::kTranslate;
  if (spec.objective != Objective::kNextToken && !masked && !translates) {
    return {batch, OutputsNeeded(spec, layout)};
  }
  const char* what = masked       ? "the hidden token"
                     : translates ? "each token of the target"
                                  : "the next token";
  if (spec.loss.kind != LossKind::kCrossEntropy) {
    Fail(what, " is a class, but the loss is ", Name(spec.loss.kind), ": use cross-entropy");
  }
  if (layout.code_columns < 2) {
    Fail(what, " needs rows of at least two codes, but there are ", layout.code_columns);
  }
  const int64_t vocabulary = Vocabulary(spec);
  if (vocabulary < 2) {
    Fail(what, " needs a vocabulary of at least two: add an embedding of \"",
         translates ? kTargetInput : kCodesInput, "\" with its number of categories");
  }
  if (translates) return {batch, layout.target_codes, vocabulary};
  return {batch, layout.code_columns - (masked ? 0 : 1), vocabulary};
}

}  // namespace beamline::engine
