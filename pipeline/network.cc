#include "pipeline/network.h"

#include "absl/strings/str_cat.h"
#include "pipeline/layers.h"
#include "pipeline/metric_names.h"

namespace beamline::pipeline {
namespace {

using engine::LossKind;
using engine::NetworkSpec;
using engine::OptimizerKind;
using engine::ScheduleKind;

engine::LossSpec ToLoss(const v1::Loss& loss, const NetworkFacts& facts) {
  engine::LossSpec spec;
  switch (loss.kind_case()) {
    case v1::Loss::kMeanAbsoluteError:
      spec.kind = LossKind::kMeanAbsoluteError;
      break;
    case v1::Loss::kHuber:
      spec.kind = LossKind::kHuber;
      spec.delta = Or(loss.huber().delta(), 1);
      break;
    case v1::Loss::kBinaryCrossEntropy:
      spec.kind = LossKind::kBinaryCrossEntropy;
      break;
    case v1::Loss::kCrossEntropy:
      spec.kind = LossKind::kCrossEntropy;
      spec.label_smoothing = loss.cross_entropy().label_smoothing();
      break;
    default:
      spec.kind = LossKind::kMeanSquaredError;
  }
  if (loss.balanced() && !facts.class_rows.empty()) {
    double rows = 0;
    for (const int64_t count : facts.class_rows) rows += static_cast<double>(count);
    for (const int64_t count : facts.class_rows) {
      spec.class_weights.push_back(
          count == 0
              ? 1
              : rows / (static_cast<double>(count) * static_cast<double>(facts.class_rows.size())));
    }
  } else if (!loss.class_weights().empty()) {
    for (const std::string& name : facts.classes) {
      const auto found = loss.class_weights().find(name);
      spec.class_weights.push_back(found == loss.class_weights().end() ? 1 : found->second);
    }
  }
  return spec;
}

engine::OptimizerSpec ToOptimizer(const v1::Optimizer& optimizer) {
  engine::OptimizerSpec spec;
  switch (optimizer.kind_case()) {
    case v1::Optimizer::kSgd:
      spec.kind = OptimizerKind::kSgd;
      spec.learning_rate = Or(optimizer.sgd().learning_rate(), 0.01);
      spec.momentum = optimizer.sgd().momentum();
      spec.nesterov = optimizer.sgd().nesterov();
      spec.weight_decay = optimizer.sgd().weight_decay();
      break;
    case v1::Optimizer::kRmsprop:
      spec.kind = OptimizerKind::kRmsProp;
      spec.learning_rate = Or(optimizer.rmsprop().learning_rate(), 0.001);
      spec.decay = Or(optimizer.rmsprop().decay(), 0.9);
      spec.epsilon = Or(optimizer.rmsprop().epsilon(), 1e-8);
      break;
    case v1::Optimizer::kAdagrad:
      spec.kind = OptimizerKind::kAdaGrad;
      spec.learning_rate = Or(optimizer.adagrad().learning_rate(), 0.01);
      spec.epsilon = Or(optimizer.adagrad().epsilon(), 1e-10);
      break;
    default: {
      const bool decoupled = optimizer.has_adamw();
      const v1::Adam& adam = decoupled ? optimizer.adamw() : optimizer.adam();
      spec.kind = decoupled ? OptimizerKind::kAdamW : OptimizerKind::kAdam;
      spec.learning_rate = Or(adam.learning_rate(), 0.001);
      spec.beta1 = Or(adam.beta1(), 0.9);
      spec.beta2 = Or(adam.beta2(), 0.999);
      spec.epsilon = Or(adam.epsilon(), 1e-8);
      spec.weight_decay = decoupled ? Or(adam.weight_decay(), 0.01) : adam.weight_decay();
    }
  }
  return spec;
}

engine::ScheduleSpec ToSchedule(const v1::LearningRateSchedule& schedule) {
  engine::ScheduleSpec spec;
  spec.warmup_steps = schedule.warmup_steps();
  switch (schedule.kind_case()) {
    case v1::LearningRateSchedule::kStep:
      spec.kind = ScheduleKind::kStep;
      spec.every_epochs = schedule.step().every_epochs();
      spec.factor = Or(schedule.step().factor(), 0.1);
      break;
    case v1::LearningRateSchedule::kExponential:
      spec.kind = ScheduleKind::kExponential;
      spec.factor = schedule.exponential().factor();
      break;
    case v1::LearningRateSchedule::kCosine:
      spec.kind = ScheduleKind::kCosine;
      spec.final_fraction = schedule.cosine().final_fraction();
      break;
    default:
      spec.kind = ScheduleKind::kConstant;
  }
  return spec;
}

}  // namespace

v1::NetworkLearner Complete(const v1::NetworkLearner& network, const NetworkFacts& facts) {
  v1::NetworkLearner complete = network;
  for (int i = 0; i < complete.layers_size(); ++i) {
    v1::Layer& layer = *complete.mutable_layers(i);
    if (layer.name().empty()) layer.set_name(absl::StrCat("layer", i));
  }
  v1::Loss& loss = *complete.mutable_loss();
  if (loss.kind_case() == v1::Loss::KIND_NOT_SET) {
    if (facts.classes.empty()) {
      loss.mutable_mean_squared_error();
    } else if (facts.classes.size() == 2) {
      // Two outputs for two classes are cross-entropy's.
      const v1::Layer& last = complete.layers(complete.layers_size() - 1);
      if (last.dense().units() == 2) {
        loss.mutable_cross_entropy();
      } else {
        loss.mutable_binary_cross_entropy();
      }
    } else {
      loss.mutable_cross_entropy();
    }
  }
  v1::Layer& last = *complete.mutable_layers(complete.layers_size() - 1);
  if (last.has_dense() && last.dense().units() == 0) {
    const bool per_class = loss.has_cross_entropy();
    last.mutable_dense()->set_units(facts.reconstructs ? static_cast<int32_t>(facts.features)
                                    : per_class        ? static_cast<int32_t>(facts.classes.size())
                                                       : 1);
  }
  if (complete.optimizer().kind_case() == v1::Optimizer::KIND_NOT_SET) {
    complete.mutable_optimizer()->mutable_adam();
  }
  return complete;
}

NetworkSpec ToNetworkSpec(const v1::NetworkLearner& network, const NetworkFacts& facts) {
  NetworkSpec spec;
  if (facts.reconstructs) spec.objective = engine::Objective::kReconstruct;
  for (const v1::Layer& layer : network.layers()) spec.layers.push_back(ToLayer(layer, facts));
  spec.loss = ToLoss(network.loss(), facts);
  spec.optimizer = ToOptimizer(network.optimizer());
  spec.schedule = ToSchedule(network.schedule());
  spec.clip_norm = network.clip_norm();
  spec.batch_size = network.batch_size() > 0 ? network.batch_size() : 32;
  spec.epochs = network.epochs() > 0 ? network.epochs() : 10;
  if (network.has_early_stopping()) {
    const v1::EarlyStopping& stopping = network.early_stopping();
    spec.early_stopping.patience = stopping.patience() > 0 ? stopping.patience() : 5;
    spec.early_stopping.metric = stopping.metric().empty() ? "loss" : stopping.metric();
    const MetricName* metric = FindMetricName(spec.early_stopping.metric);
    spec.early_stopping.larger_is_better = metric != nullptr && metric->larger_is_better;
    spec.early_stopping.min_delta = stopping.min_delta();
  }
  return spec;
}

engine::BatchLayout ToLayout(const v1::NetworkLearner& network, const NetworkFacts& facts,
                             bool has_weights) {
  engine::BatchLayout layout;
  layout.features = facts.features;
  layout.code_columns = static_cast<int64_t>(facts.code_sizes.size());
  layout.has_weights = has_weights;
  if (facts.reconstructs) return layout;
  // Binary cross-entropy compares one output with 0 or 1: to the engine a number.
  const bool labels = network.loss().has_cross_entropy();
  layout.targets = labels ? 0 : 1;
  layout.classes = labels ? static_cast<int64_t>(facts.classes.size()) : 0;
  return layout;
}

}  // namespace beamline::pipeline
