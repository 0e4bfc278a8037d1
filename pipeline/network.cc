#include "pipeline/network.h"

#include "absl/strings/str_cat.h"
#include "pipeline/layers.h"
#include "pipeline/metric_names.h"
#include "pipeline/schema.h"

namespace beamline::pipeline {
namespace {

using engine::LossKind;
using engine::NetworkSpec;
using engine::OptimizerKind;
using engine::ScheduleKind;

engine::LossSpec ToLoss(const v1::NetworkLearner& network, const NetworkFacts& facts) {
  const v1::Loss& loss = network.loss();
  const bool per_class = HasOutputPerClass(network, static_cast<int64_t>(facts.classes.size()));
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
    case v1::Loss::kHinge:
      spec.kind = per_class ? LossKind::kMultiClassHinge : LossKind::kHinge;
      break;
    case v1::Loss::kFocal:
      spec.kind = per_class ? LossKind::kFocalCrossEntropy : LossKind::kFocal;
      spec.gamma = loss.focal().has_gamma() ? loss.focal().gamma() : 2;
      break;
    case v1::Loss::kTriplet:
      spec.kind = LossKind::kTriplet;
      spec.margin = Or(loss.triplet().margin(), 0.2);
      break;
    case v1::Loss::kMargin:
      spec.kind = LossKind::kMargin;
      spec.absent_weight = Or(loss.margin().absent_weight(), 0.5);
      break;
    case v1::Loss::kInfoNce:
      spec.kind = LossKind::kInfoNce;
      spec.temperature = Or(loss.info_nce().temperature(), 0.1);
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
  spec.decay_matrices_only = optimizer.decay_weights_only();
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
      spec.momentum = optimizer.rmsprop().momentum();
      spec.weight_decay = optimizer.rmsprop().weight_decay();
      break;
    case v1::Optimizer::kAdagrad:
      spec.kind = OptimizerKind::kAdaGrad;
      spec.learning_rate = Or(optimizer.adagrad().learning_rate(), 0.01);
      spec.epsilon = Or(optimizer.adagrad().epsilon(), 1e-10);
      spec.weight_decay = optimizer.adagrad().weight_decay();
      break;
    default: {
      const bool lamb = optimizer.has_lamb();
      const bool decoupled = optimizer.has_adamw() || lamb;
      const v1::Adam& adam = lamb                    ? optimizer.lamb()
                             : optimizer.has_adamw() ? optimizer.adamw()
                                                     : optimizer.adam();
      spec.kind = lamb        ? OptimizerKind::kLamb
                  : decoupled ? OptimizerKind::kAdamW
                              : OptimizerKind::kAdam;
      spec.learning_rate = Or(adam.learning_rate(), 0.001);
      spec.beta1 = Or(adam.beta1(), 0.9);
      spec.beta2 = Or(adam.beta2(), 0.999);
      spec.epsilon = Or(adam.epsilon(), lamb ? 1e-6 : 1e-8);
      spec.weight_decay = decoupled ? Or(adam.weight_decay(), 0.01) : adam.weight_decay();
    }
  }
  return spec;
}

engine::ScheduleSpec ToSchedule(const v1::LearningRateSchedule& schedule) {
  engine::ScheduleSpec spec;
  spec.warmup_steps = schedule.warmup_steps();
  spec.batch_scaling = static_cast<engine::BatchScaling>(schedule.batch_scaling());
  if (schedule.base_batch_size() > 0) spec.base_batch_size = schedule.base_batch_size();
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
    case v1::LearningRateSchedule::kLinear:
      spec.kind = ScheduleKind::kLinear;
      spec.final_fraction = schedule.linear().final_fraction();
      break;
    case v1::LearningRateSchedule::kPolynomial:
      spec.kind = ScheduleKind::kPolynomial;
      spec.power = Or(schedule.polynomial().power(), 1);
      spec.final_fraction = schedule.polynomial().final_fraction();
      break;
    case v1::LearningRateSchedule::kOneCycle:
      spec.kind = ScheduleKind::kOneCycle;
      spec.initial_fraction = Or(schedule.one_cycle().initial_fraction(), 0.04);
      spec.final_fraction = Or(schedule.one_cycle().final_fraction(), 4e-6);
      spec.rising_share = Or(schedule.one_cycle().rising_share(), 0.3);
      break;
    case v1::LearningRateSchedule::kPlateau:
      spec.kind = ScheduleKind::kPlateau;
      spec.factor = Or(schedule.plateau().factor(), 0.1);
      if (schedule.plateau().patience() > 0) spec.plateau_patience = schedule.plateau().patience();
      spec.final_fraction = schedule.plateau().final_fraction();
      break;
    default:
      spec.kind = ScheduleKind::kConstant;
  }
  return spec;
}

static_assert(static_cast<int>(engine::BatchScaling::kNone) == v1::BATCH_SCALING_UNSPECIFIED);
static_assert(static_cast<int>(engine::BatchScaling::kLinear) == v1::BATCH_SCALING_LINEAR);
static_assert(static_cast<int>(engine::BatchScaling::kSquareRoot) == v1::BATCH_SCALING_SQUARE_ROOT);

engine::AveragingSpec ToAveraging(const v1::WeightAveraging& averaging, int64_t epochs) {
  engine::AveragingSpec spec;
  if (averaging.has_exponential()) {
    spec.kind = engine::AveragingKind::kExponential;
    spec.decay = Or(averaging.exponential().decay(), 0.999);
  } else if (averaging.has_stochastic()) {
    spec.kind = engine::AveragingKind::kStochastic;
    const int64_t start = averaging.stochastic().start_epoch();
    spec.start_epoch = start > 0 ? start - 1 : epochs - (epochs + 3) / 4;
  }
  return spec;
}

}  // namespace

engine::MaskingSpec MaskingOf(const v1::TrainingData& data) {
  const v1::Masking& masking = data.masking();
  engine::MaskingSpec spec;
  if (masking.share() != 0) spec.share = masking.share();
  if (masking.has_hidden()) spec.masked = masking.hidden();
  if (masking.has_random()) spec.random = masking.random();
  return spec;
}

bool HasOutputPerClass(const v1::NetworkLearner& network, int64_t classes) {
  if (network.loss().has_cross_entropy() || network.loss().has_margin()) return true;
  if (!network.loss().has_hinge() && !network.loss().has_focal()) return false;
  if (classes > 2) return true;
  return network.layers_size() > 0 &&
         network.layers(network.layers_size() - 1).dense().units() == 2;
}

namespace {

// Of the last layer, where it leaves them open.
int64_t UnitsNeeded(const v1::NetworkLearner& network, const NetworkFacts& facts) {
  if (facts.next_token || facts.masking.has_value()) {
    return facts.code_sizes.empty() ? 0 : facts.code_sizes[0];
  }
  if (facts.translates()) return facts.code_sizes.size() < 2 ? 0 : facts.code_sizes[1];
  if (facts.reconstructs || facts.horizon > 0) return facts.FeatureOutputs();
  const auto classes = static_cast<int64_t>(facts.classes.size());
  return HasOutputPerClass(network, classes) ? classes : 1;
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
    if (facts.next_token || facts.masking.has_value() || facts.translates()) {
      loss.mutable_cross_entropy();
    } else if (facts.classes.empty()) {
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
  const bool open = last.has_dense() ? last.dense().units() == 0
                                     : last.has_graph_conv() && last.graph_conv().units() == 0;
  if (open) {
    const auto units = static_cast<int32_t>(UnitsNeeded(complete, facts));
    if (last.has_dense()) {
      last.mutable_dense()->set_units(units);
    } else {
      last.mutable_graph_conv()->set_units(units);
    }
  }
  if (complete.optimizer().kind_case() == v1::Optimizer::KIND_NOT_SET) {
    complete.mutable_optimizer()->mutable_adam();
  }
  return complete;
}

NetworkSpec ToNetworkSpec(const v1::NetworkLearner& network, const NetworkFacts& facts) {
  NetworkSpec spec;
  if (facts.reconstructs) spec.objective = engine::Objective::kReconstruct;
  if (facts.next_token) spec.objective = engine::Objective::kNextToken;
  if (facts.masking.has_value()) {
    spec.objective = engine::Objective::kMasked;
    spec.masking = *facts.masking;
  }
  if (facts.each_step) spec.objective = engine::Objective::kEachStep;
  if (facts.translates()) spec.objective = engine::Objective::kTranslate;
  for (const v1::Layer& layer : network.layers()) spec.layers.push_back(ToLayer(layer, facts));
  if (facts.graph && !facts.pairs) {
    // Of all nodes or graphs those of the batch.
    engine::LayerSpec& rows = spec.layers.emplace_back();
    rows.kind = engine::LayerKind::kGather;
    rows.name = "batch-rows";
  }
  spec.loss = ToLoss(network, facts);
  spec.optimizer = ToOptimizer(network.optimizer());
  spec.schedule = ToSchedule(network.schedule());
  spec.clip_norm = network.clip_norm();
  spec.clip_value = network.clip_value();
  spec.weight_l1 = network.weight_penalty().l1();
  spec.weight_l2 = network.weight_penalty().l2();
  spec.batch_size = network.batch_size() > 0 ? network.batch_size() : 32;
  spec.epochs = network.epochs() > 0 ? network.epochs() : kDefaultEpochs;
  spec.averaging = ToAveraging(network.averaging(), spec.epochs);
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
  const int64_t rows = facts.steps > 0 ? facts.steps : 1;
  layout.features = facts.features * rows;
  layout.code_columns =
      static_cast<int64_t>(facts.code_sizes.size()) * (rows + (facts.next_token ? 1 : 0));
  layout.steps = facts.features > 0 ? facts.steps : 0;
  layout.has_lengths = facts.has_lengths;
  layout.has_weights = has_weights;
  if (facts.each_step) layout.target_steps = facts.steps;
  if (facts.graph) {
    layout.features = 0;
    layout.code_columns = facts.pairs ? 2 : 1;
  }
  if (facts.translates()) {
    layout.code_columns = facts.source_steps + facts.target_steps;
    layout.target_codes = facts.target_steps;
    return layout;
  }
  if (facts.reconstructs || facts.next_token || facts.masking.has_value()) return layout;
  if (facts.horizon > 0) {
    layout.targets = facts.FeatureOutputs();
    return layout;
  }
  // Binary cross-entropy compares one output with 0 or 1: to the engine a number.
  const auto classes = static_cast<int64_t>(facts.classes.size());
  const bool labels = HasOutputPerClass(network, classes) || Embeds(network.loss());
  layout.targets = labels ? 0 : 1;
  layout.classes = labels ? classes : 0;
  return layout;
}

}  // namespace beamline::pipeline
