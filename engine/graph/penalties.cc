// The builder methods of noise and of losses that layers add.
#include <limits>

#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

Value Graph::Gaussian(const std::string& name, Value scale, const Shape& to) {
  if (shape(scale) != Shape()) Fail("layer \"", name, "\": its deviation must be a single number");
  if (to.NumElements() > std::numeric_limits<uint32_t>::max()) {
    Fail("layer \"", name, "\" has more than 2^32 elements: use a smaller batch");
  }
  Attributes attributes;
  attributes.stream = dropouts_++;
  return Append(OpKind::kGaussian, name, {scale}, {to}, attributes).outputs[0];
}

Value Graph::Mask(const std::string& name, Value x, Value rate) {
  const Value y = Dropout(name, x, rate);
  nodes_.back().attributes.rescale = false;
  return y;
}

Value Graph::Sample(const std::string& name, Value x, Value noise) {
  if (shape(x).rank() != 2 || shape(x).Columns() % 2 != 0) {
    Fail("layer \"", name, "\" takes means and log variances [batch, 2 * numbers] but gets ",
         shape(x), ": put a dense layer with an even number of units before it");
  }
  const Shape half({shape(x).Rows(), shape(x).Columns() / 2});
  if (shape(noise) != half) {
    Fail("layer \"", name, "\" needs noise of shape ", half, ", not ", shape(noise));
  }
  return Append(OpKind::kSample, name, {x, noise}, {half}).outputs[0];
}

Value Graph::LatentLoss(const std::string& name, Value x, Value weights) {
  if (shape(x).rank() != 2 || shape(x).Columns() % 2 != 0) {
    Fail("layer \"", name, "\" takes means and log variances [batch, 2 * numbers] but gets ",
         shape(x), ": put a dense layer with an even number of units before it");
  }
  const int64_t rows = shape(x).Rows();
  Attributes attributes;
  attributes.has_weights = weights.valid();
  std::vector<Value> inputs = {x};
  if (weights.valid()) {
    RequireVector(name, "weights", weights, rows);
    inputs.push_back(weights);
  }
  return Append(OpKind::kLatentLoss, name, inputs, {Shape(), Shape(), Shape({rows})}, attributes)
      .outputs[0];
}

Value Graph::ActivityLoss(const std::string& name, Value x, Value weights, Value target) {
  if (shape(x).rank() < 2) {
    Fail("layer \"", name, "\" expects [batch, features] but gets ", shape(x));
  }
  Attributes attributes;
  attributes.has_weights = weights.valid();
  attributes.has_number = target.valid();
  std::vector<Value> inputs = {x};
  if (weights.valid()) {
    RequireVector(name, "weights", weights, shape(x).dim(0));
    inputs.push_back(weights);
  }
  if (target.valid()) {
    if (shape(target) != Shape()) Fail("layer \"", name, "\": its target is a single number");
    inputs.push_back(target);
  }
  return Append(OpKind::kActivityLoss, name, inputs, {Shape(), Shape()}, attributes).outputs[0];
}

Value Graph::WeightPenalty(const std::string& name, Value w, Value l1, Value l2) {
  if (shape(l1) != Shape() || shape(l2) != Shape()) {
    Fail("the penalty of \"", name, "\" takes single numbers");
  }
  return Append(OpKind::kWeightPenalty, name, {w, l1, l2}, {Shape()}).outputs[0];
}

}  // namespace beamline::engine
