// The builder methods of losses.
#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

void Graph::RequireTarget(const std::string& name, Value p, Value target,
                          const LossOptions& options) const {
  const Shape& outputs = shape(p);
  if (!TakesLabels(options.kind)) {
    if (shape(target).NumElements() == outputs.NumElements()) return;
    Fail("loss \"", name, "\" compares ", outputs.Columns(), " outputs with ",
         shape(target).Columns(), " targets: set units of the last layer to ",
         shape(target).Columns());
  }
  if (info(target).dtype != DType::kInt32 || shape(target) != Shape({outputs.Rows()})) {
    Fail("loss \"", name, "\" needs integer labels of shape [", outputs.Rows(), "], not ",
         shape(target));
  }
  if (!ComparesRows(options.kind) && outputs.Columns() < 2) {
    Fail("loss \"", name, "\" needs an output per class but the last layer has ", outputs.Columns(),
         ": give it as many units as there are classes, or use binary "
         "cross-entropy with one unit");
  }
}

// `classes`: how many class weights there must be; 0: as many as are given.
void Graph::AddLossInputs(const std::string& name, int64_t rows, int64_t classes, Value weights,
                          Value class_weights, const LossOptions& options,
                          std::vector<Value>* inputs, Attributes* attributes) const {
  attributes->loss = options.kind;
  attributes->delta = options.delta;
  attributes->smoothing = options.smoothing;
  attributes->has_weights = weights.valid();
  attributes->has_class_weights = class_weights.valid();
  attributes->has_number = options.number.valid();
  if (weights.valid()) {
    RequireVector(name, "weights", weights, rows);
    inputs->push_back(weights);
  }
  if (class_weights.valid()) {
    if (classes > 0) RequireVector(name, "class weights", class_weights, classes);
    inputs->push_back(class_weights);
  }
  if (TakesNumber(options.kind) != options.number.valid()) {
    Fail("loss \"", name, "\"", options.number.valid() ? " takes no number" : " needs a number",
         ": gamma is for focal losses, a margin for triplets, a temperature for InfoNCE, a weight "
         "of absent classes for the margin loss");
  }
  if (!options.number.valid()) return;
  if (shape(options.number) != Shape()) Fail("loss \"", name, "\" takes a single number");
  inputs->push_back(options.number);
}

Graph::LossValues Graph::Loss(const std::string& name, Value p, Value target, Value weights,
                              Value class_weights, const LossOptions& options) {
  if (ComparesRows(options.kind)) {
    return PairLoss(name, p, target, weights, class_weights, options);
  }
  RequireTarget(name, p, target, options);
  const int64_t rows = shape(p).Rows();
  const bool binary = !TakesLabels(options.kind);
  if (class_weights.valid() && !IsForClasses(options.kind)) {
    Fail("loss \"", name, "\" predicts numbers and has no classes: remove the class weights");
  }
  if (class_weights.valid() && binary && shape(p).Columns() != 1) {
    Fail("loss \"", name, "\" has class weights but ", shape(p).Columns(),
         " outputs: with binary cross-entropy they are for one output");
  }
  std::vector<Value> inputs = {p, target};
  Attributes attributes;
  AddLossInputs(name, rows, binary ? 2 : shape(p).Columns(), weights, class_weights, options,
                &inputs, &attributes);
  const Node& node =
      Append(OpKind::kLoss, name, inputs, {Shape(), Shape(), Shape({rows})}, attributes);
  return {node.outputs[0], node.outputs[1], node.outputs[2]};
}

Value Graph::UnitRows(const std::string& name, Value x) {
  if (info(x).dtype != real_) Fail("layer \"", name, "\" cannot take codes: embed them first");
  return Append(OpKind::kUnitRows, name, {x}, {shape(x), Shape({shape(x).Rows()})}).outputs[0];
}

Graph::LossValues Graph::PairLoss(const std::string& name, Value p, Value labels, Value weights,
                                  Value class_weights, const LossOptions& options) {
  if (!ComparesRows(options.kind)) {
    Fail("loss \"", name, "\" does not compare rows: it is for triplets and InfoNCE");
  }
  if (shape(p).rank() != 2) {
    Fail("loss \"", name, "\" compares rows [rows, numbers], but gets ", shape(p),
         ": end with a dense layer");
  }
  RequireTarget(name, p, labels, options);
  const int64_t rows = shape(p).Rows();
  std::vector<Value> inputs = {p, labels};
  Attributes attributes;
  AddLossInputs(name, rows, 0, weights, class_weights, options, &inputs, &attributes);
  const Node& node =
      Append(OpKind::kPairLoss, name, inputs, {Shape(), Shape(), Shape({rows})}, attributes);
  return {node.outputs[0], node.outputs[1], node.outputs[2]};
}

}  // namespace beamline::engine
