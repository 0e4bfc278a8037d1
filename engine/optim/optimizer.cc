#include "engine/optim/optimizer.h"

#include <cmath>
#include <string>

#include "engine/backend/functors.h"
#include "engine/core/error.h"

namespace beamline::engine {
namespace {

int StatesOf(UpdateRule rule) {
  switch (rule) {
    case UpdateRule::kSgd:
      return 0;
    case UpdateRule::kAdam:
    case UpdateRule::kAdamW:
    case UpdateRule::kRmsPropMomentum:
    case UpdateRule::kLamb:
      return 2;
    default:
      return 1;
  }
}

// 1 - beta^t, by repeated squaring: the same bits everywhere.
double Correction(double beta, int64_t t) {
  double power = 1;
  for (; t > 0; t /= 2, beta *= beta) {
    if (t % 2 == 1) power *= beta;
  }
  return 1 - power;
}

void RequireShare(const char* what, double value) {
  if (!(value >= 0 && value < 1)) {
    Fail("optimizer: ", what, " must be at least 0 and below 1, got ", value);
  }
}

}  // namespace

void CheckOptimizer(const OptimizerSpec& optimizer) {
  if (!(optimizer.learning_rate > 0) || !std::isfinite(optimizer.learning_rate)) {
    Fail("optimizer: learning_rate must be a positive number, got ", optimizer.learning_rate);
  }
  RequireShare("momentum", optimizer.momentum);
  RequireShare("beta1", optimizer.beta1);
  RequireShare("beta2", optimizer.beta2);
  RequireShare("decay", optimizer.decay);
  if (!(optimizer.epsilon > 0)) Fail("optimizer: epsilon must be positive");
  if (!(optimizer.weight_decay >= 0) || !std::isfinite(optimizer.weight_decay)) {
    Fail("optimizer: weight_decay must not be negative, got ", optimizer.weight_decay);
  }
  if (optimizer.nesterov && optimizer.momentum == 0) {
    Fail("optimizer: nesterov needs a momentum: set momentum, for example to 0.9");
  }
}

UpdateRule RuleOf(const OptimizerSpec& optimizer) {
  switch (optimizer.kind) {
    case OptimizerKind::kSgd:
      if (optimizer.momentum == 0) return UpdateRule::kSgd;
      return optimizer.nesterov ? UpdateRule::kNesterov : UpdateRule::kMomentum;
    case OptimizerKind::kAdam:
      return UpdateRule::kAdam;
    case OptimizerKind::kAdamW:
      return UpdateRule::kAdamW;
    case OptimizerKind::kRmsProp:
      return optimizer.momentum == 0 ? UpdateRule::kRmsProp : UpdateRule::kRmsPropMomentum;
    case OptimizerKind::kAdaGrad:
      return UpdateRule::kAdaGrad;
    case OptimizerKind::kLamb:
      return UpdateRule::kLamb;
  }
  return UpdateRule::kSgd;
}

UpdateInputs AppendUpdates(Graph* graph, std::span<const Value> parameters,
                           std::span<const Value> given, const UpdateOptions& options) {
  UpdateInputs inputs;
  inputs.numbers = graph->Input("optimizer/numbers", {kUpdateNumbers});
  if (options.decay_matrices_only) {
    inputs.undecayed = graph->Input("optimizer/numbers_without_decay", {kUpdateNumbers});
  }
  std::vector<Value> gradients(given.begin(), given.end());
  if (options.clip_value) inputs.value_limit = graph->Number("optimizer/value_limit");
  for (Value& gradient : gradients) {
    if (!gradient.valid() || !options.clip_value) continue;
    const Shape shape = graph->shape(gradient);
    gradient =
        graph->Append(OpKind::kClamp, "clip", {gradient, inputs.value_limit}, {shape}).outputs[0];
  }
  Value scale;
  if (options.clip_norm) {
    std::vector<Value> norms;
    for (const Value gradient : gradients) {
      if (!gradient.valid()) continue;
      norms.push_back(
          graph->Append(OpKind::kSquaredNorm, "clip", {gradient}, {Shape()}).outputs[0]);
    }
    inputs.clip_limit = graph->Number("optimizer/clip_limit");
    norms.push_back(inputs.clip_limit);
    scale = graph->Append(OpKind::kClipScale, "clip", norms, {Shape()}).outputs[0];
  }
  Attributes attributes;
  attributes.rule = options.rule;
  attributes.has_scale = options.clip_norm;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!gradients[i].valid()) continue;
    const std::string name = graph->info(parameters[i]).name;
    const Shape shape = graph->shape(parameters[i]);
    const bool decays = !options.decay_matrices_only || shape.rank() >= 2;
    std::vector<Value> operands = {parameters[i], gradients[i],
                                   decays ? inputs.numbers : inputs.undecayed};
    if (options.clip_norm) operands.push_back(scale);
    for (int s = 0; s < StatesOf(options.rule); ++s) {
      operands.push_back(graph->State(Concat("optimizer/", name, "/", s), shape, 0));
    }
    graph->Append(OpKind::kUpdate, name, operands, {}, attributes);
  }
  return inputs;
}

std::array<double, kUpdateNumbers> WithoutDecay(std::array<double, kUpdateNumbers> numbers,
                                                UpdateRule rule) {
  numbers[functors::kWeightDecay] = 0;
  numbers[functors::kShrink] = rule == UpdateRule::kLamb ? 0 : 1;
  return numbers;
}

std::array<double, kUpdateNumbers> UpdateNumbers(const OptimizerSpec& optimizer,
                                                 double learning_rate, int64_t step) {
  std::array<double, kUpdateNumbers> numbers{};
  const bool lamb = optimizer.kind == OptimizerKind::kLamb;
  const bool decoupled = optimizer.kind == OptimizerKind::kAdamW || lamb;
  const bool adaptive = optimizer.kind == OptimizerKind::kAdam || decoupled;
  numbers[functors::kRate] = learning_rate;
  numbers[functors::kFirst] = adaptive ? optimizer.beta1 : optimizer.momentum;
  numbers[functors::kSecond] = adaptive ? optimizer.beta2 : optimizer.decay;
  numbers[functors::kEpsilon] = optimizer.epsilon;
  numbers[functors::kWeightDecay] = decoupled ? 0 : optimizer.weight_decay;
  numbers[functors::kStepSize] = (lamb ? 1 : learning_rate) / Correction(optimizer.beta1, step + 1);
  numbers[functors::kRootCorrection] = 1 / std::sqrt(Correction(optimizer.beta2, step + 1));
  numbers[functors::kShrink] =
      lamb ? optimizer.weight_decay : 1 - learning_rate * optimizer.weight_decay;
  return numbers;
}

}  // namespace beamline::engine
