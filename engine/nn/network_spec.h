// A network that is trained by gradients, as plain data.
//
// It says the same as the definition language's NetworkLearner but is not that message: the engine
// stands alone and sees no protobuf. All defaults are those of the definition language.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/graph/op.h"

namespace beamline::engine {

enum class LayerKind : uint8_t {
  kDense,       // activation(x W + b); W: [inputs, units]
  kActivation,  // activation(x)
  kDropout,     // drops each value with probability `rate` in training
  kBatchNorm,
  kLayerNorm,
  kEmbedding,  // [batch, code columns] -> [batch, code columns * units]; takes "codes"
  kConcat,     // joins its inputs along the last axis
  kAdd,        // sum of its inputs
  kMultiply,   // product of its inputs, element by element
  kReshape,    // [batch, shape...]; an empty shape flattens to [batch, features]

  // In training adds normal noise of `deviation`, then sets values to 0 with probability `rate`.
  kNoise,
  // [batch, 2 n], means and log variances -> [batch, n]: a sample of them in training, else the
  // means. Adds beta times their divergence from N(0, 1) to the loss (Kingma, Welling 2014).
  kLatent,
  // The identity; adds l1 * sum |x| and sparsity_weight * the divergence of the mean activity of
  // each feature from sparsity_target (Ng 2011) to the loss.
  kActivityPenalty,
};

enum class Initializer : uint8_t {
  kDefault,        // He normal before ReLU-like activations, LeCun normal before SELU, else Glorot
  kGlorotUniform,  // uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot, Bengio 2010)
  kHeNormal,       // normal, variance 2 / fan_in (He et al. 2015)
  kHeUniform,      // uniform in +-sqrt(6 / fan_in)
  kLecunNormal,    // normal, variance 1 / fan_in (LeCun et al. 1998)
  kZeros,
};

// Names that layers may take as inputs beside those of earlier layers.
inline constexpr char kFeaturesInput[] = "features";
inline constexpr char kCodesInput[] = "codes";

struct LayerSpec {
  LayerKind kind = LayerKind::kDense;
  // Default: "layer0", "layer1", ...
  std::string name;
  // Layers before this one, "features" or "codes". Default: the layer before; for the first layer
  // "features", for an embedding "codes".
  std::vector<std::string> inputs;
  // Dense: width of the output; 0, in the last layer only, is what the loss needs. Embedding:
  // numbers per code column.
  int64_t units = 0;
  // Dense: features that the input must have; 0 takes what comes.
  int64_t expected_inputs = 0;
  Activation activation = Activation::kLinear;
  bool bias = true;
  Initializer initializer = Initializer::kDefault;
  // Dropout: in [0, 1).
  double rate = 0;
  // Batch norm: running = momentum * running + (1 - momentum) * batch.
  double momentum = 0.9;
  // Batch and layer norm.
  double epsilon = 1e-5;
  // Embedding: number of categories of each code column; one number serves all columns.
  std::vector<int64_t> categories;
  // Reshape: extents after the batch.
  std::vector<int64_t> shape;

  // Noise: standard deviation of what is added; `rate`: share of values set to 0, not rescaled.
  double deviation = 0;
  // Latent. With 1 the loss is the negative evidence lower bound over the outputs' number.
  double beta = 1;
  // Activity penalty; 0: none. The target is in (0, 1), for sigmoid activities.
  double l1 = 0;
  double sparsity_weight = 0;
  double sparsity_target = 0.05;
};

// What the output is compared with.
enum class Objective : uint8_t {
  kTarget,       // the target of the data
  kReconstruct,  // the features, as they were before any layer; the data needs no target
};

struct LossSpec {
  LossKind kind = LossKind::kMeanSquaredError;
  // Huber: where the loss turns from quadratic to linear.
  double delta = 1;
  // Cross-entropy: share of the label's probability that is moved to all classes, in [0, 1).
  double label_smoothing = 0;
  // Weight of each class; empty: 1 each. For classes (binary: two weights) only.
  std::vector<double> class_weights;
  double gamma = 2;          // focal
  double margin = 0.2;       // triplet
  double temperature = 0.1;  // InfoNCE
};

enum class OptimizerKind : uint8_t { kSgd, kAdam, kAdamW, kRmsProp, kAdaGrad, kLamb };

// Formulas: engine/optim/optimizer.h.
struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::kSgd;
  double learning_rate = 0.01;
  double momentum = 0;  // SGD, RMSProp
  bool nesterov = false;
  double beta1 = 0.9;  // Adam, AdamW, LAMB
  double beta2 = 0.999;
  double decay = 0.9;  // RMSProp
  double epsilon = 1e-8;
  double weight_decay = 0;  // AdamW, LAMB: decoupled; all others: L2 in the gradient
  // Biases, and scales and shifts of normalisation, do not decay: parameters of one dimension.
  bool decay_matrices_only = false;
};

enum class ScheduleKind : uint8_t {
  kConstant,
  kStep,
  kExponential,
  kCosine,
  kLinear,
  kPolynomial,
  kOneCycle,
  kPlateau,
};

// How the learning rate grows with the batch.
enum class BatchScaling : uint8_t {
  kNone,
  kLinear,      // rate * batch_size / base_batch_size (Goyal et al. 2017)
  kSquareRoot,  // rate * sqrt(batch_size / base_batch_size) (Krizhevsky 2014; You et al. 2020)
};

// Formulas: engine/optim/schedule.h.
struct ScheduleSpec {
  ScheduleKind kind = ScheduleKind::kConstant;
  // Steps over which the rate rises linearly from 0, before the schedule begins.
  int64_t warmup_steps = 0;
  int64_t every_epochs = 1;   // step
  double factor = 0.1;        // step, exponential, plateau
  double final_fraction = 0;  // cosine, linear, polynomial, one-cycle, plateau
  double power = 1;           // polynomial
  // One-cycle: where the cycle begins, and the share of the steps that the rate rises.
  double initial_fraction = 0.04;
  double rising_share = 0.3;
  // Plateau: epochs without improvement of the watched metric (EarlyStoppingSpec::metric,
  // min_delta) after which the rate is multiplied by `factor`.
  int64_t plateau_patience = 10;
  BatchScaling batch_scaling = BatchScaling::kNone;
  int64_t base_batch_size = 256;
};

enum class AveragingKind : uint8_t { kNone, kExponential, kStochastic };

// Averages of the weights, which evaluation, prediction and the finished model then use; training
// goes on from the weights themselves. Formulas: engine/optim/averaging.h.
struct AveragingSpec {
  AveragingKind kind = AveragingKind::kNone;
  double decay = 0.999;     // exponential
  int64_t start_epoch = 0;  // stochastic: the first epoch, from 0, whose end is averaged
};

struct EarlyStoppingSpec {
  // Epochs without improvement after which training ends; 0: no early stopping.
  int64_t patience = 0;
  // "loss" is the validation loss. Any other name is a metric that the caller reports after each
  // epoch (Learner::ReportMetric).
  std::string metric = "loss";
  bool larger_is_better = false;
  // Improvement below this does not count.
  double min_delta = 0;
  // At the end take the weights of the best epoch.
  bool restore_best = true;
};

struct NetworkSpec {
  // In order; a layer may take only what stands before it. The last one is the output.
  std::vector<LayerSpec> layers;
  Objective objective = Objective::kTarget;
  LossSpec loss;
  // Adds l1 sum |w| + l2 sum w^2 over all weights but biases and those of normalisation.
  double weight_l1 = 0;
  double weight_l2 = 0;
  OptimizerSpec optimizer;
  ScheduleSpec schedule;
  // Gradients are scaled down to this global L2 norm; 0: no limit.
  double clip_norm = 0;
  // Before that each gradient is kept within [-clip_value, clip_value]; 0: no limit.
  double clip_value = 0;
  AveragingSpec averaging;
  // Rows in one step; the last step of an epoch has what is left.
  int64_t batch_size = 32;
  int64_t epochs = 10;
  EarlyStoppingSpec early_stopping;
  // Of initial weights, shuffling and dropout.
  uint64_t seed = 0;
  // Threads of this learner, the calling one included. No result depends on it.
  int threads = 1;
  // "cpu" or "reference".
  std::string backend = "cpu";
};

}  // namespace beamline::engine
