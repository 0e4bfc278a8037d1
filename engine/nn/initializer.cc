#include "engine/nn/initializer.h"

#include <cmath>

#include "engine/core/error.h"
#include "engine/optim/optimizer.h"
#include "engine/optim/schedule.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxBatch = int64_t{1} << 24;

Initializer DefaultFor(Activation activation) {
  switch (activation) {
    case Activation::kRelu:
    case Activation::kLeakyRelu:
    case Activation::kElu:
    case Activation::kGelu:
    case Activation::kSilu:
      return Initializer::kHeNormal;
    case Activation::kSelu:
      return Initializer::kLecunNormal;
    default:
      return Initializer::kGlorotUniform;
  }
}

}  // namespace

Initial InitialWeight(Initializer initializer, Activation activation, int64_t inputs,
                      int64_t units) {
  if (initializer == Initializer::kDefault) initializer = DefaultFor(activation);
  const auto in = static_cast<double>(inputs);
  switch (initializer) {
    case Initializer::kGlorotUniform:
      return {Initial::Kind::kUniform, std::sqrt(6 / (in + static_cast<double>(units)))};
    case Initializer::kHeNormal:
      return {Initial::Kind::kNormal, std::sqrt(2 / in)};
    case Initializer::kHeUniform:
      return {Initial::Kind::kUniform, std::sqrt(6 / in)};
    case Initializer::kLecunNormal:
      return {Initial::Kind::kNormal, std::sqrt(1 / in)};
    default:
      return {};
  }
}

Initial InitialTable(int64_t units) {
  return {Initial::Kind::kNormal, std::sqrt(1 / static_cast<double>(units))};
}

void CheckNumbers(const NetworkSpec& spec) {
  if (spec.batch_size < 1 || spec.batch_size > kMaxBatch) {
    Fail("batch_size must be from 1 to ", kMaxBatch, ", got ", spec.batch_size);
  }
  const MaskingSpec& masking = spec.masking;
  if (!(masking.share > 0 && masking.share <= 1) || !(masking.masked >= 0) ||
      !(masking.random >= 0) || !(masking.masked + masking.random <= 1)) {
    Fail("masking: the share must be above 0 and at most 1, and masked and random together at ",
         "most 1, got ", masking.share, ", ", masking.masked, " and ", masking.random);
  }
  if (spec.epochs < 1) Fail("epochs must be at least 1, got ", spec.epochs);
  if (!(spec.clip_norm >= 0) || !std::isfinite(spec.clip_norm)) {
    Fail("clip_norm must not be negative, got ", spec.clip_norm);
  }
  if (!(spec.clip_value >= 0) || !std::isfinite(spec.clip_value)) {
    Fail("clip_value must not be negative, got ", spec.clip_value);
  }
  if (!(spec.averaging.decay >= 0 && spec.averaging.decay < 1)) {
    Fail("averaging: decay must be at least 0 and below 1, got ", spec.averaging.decay);
  }
  if (spec.averaging.start_epoch < 0) Fail("averaging: start_epoch must not be negative");
  if (!(spec.loss.delta > 0)) Fail("loss: delta must be positive, got ", spec.loss.delta);
  if (!(spec.loss.label_smoothing >= 0 && spec.loss.label_smoothing < 1)) {
    Fail("loss: label_smoothing must be at least 0 and below 1, got ", spec.loss.label_smoothing);
  }
  if (!(spec.loss.gamma >= 0) || !(spec.loss.margin > 0) || !(spec.loss.temperature > 0)) {
    Fail("loss: gamma must not be negative, margin and temperature must be positive");
  }
  if (!(spec.weight_l1 >= 0) || !(spec.weight_l2 >= 0)) {
    Fail("weight_penalty: l1 and l2 must not be negative");
  }
  for (const double weight : spec.loss.class_weights) {
    if (!std::isfinite(weight) || weight < 0) {
      Fail("loss: class weights must not be negative, got ", weight);
    }
  }
  if (spec.early_stopping.patience < 0) Fail("early_stopping: patience must not be negative");
  if (!(spec.early_stopping.min_delta >= 0)) {
    Fail("early_stopping: min_delta must not be negative");
  }
  CheckOptimizer(spec.optimizer);
  CheckSchedule(spec.schedule);
}

}  // namespace beamline::engine
