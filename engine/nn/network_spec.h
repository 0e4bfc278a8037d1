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
  // Images [batch, height, width, channels] or sequences [batch, steps, channels].
  kConv,           // activation(cross-correlation with the kernel + b) (LeCun et al. 1989)
  kConvTranspose,  // its transpose, which enlarges: [batch, height * stride, ...] with kSame
  kMaxPool,        // largest element of each window
  kAveragePool,    // mean of each window
  kGlobalPool,     // [batch, ..., channels] -> [batch, channels]
  kGroupNorm,      // (Wu, He 2018)
};

enum class Initializer : uint8_t {
  kDefault,        // He normal before ReLU-like activations, LeCun normal before SELU, else Glorot
  kGlorotUniform,  // uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot, Bengio 2010)
  kHeNormal,       // normal, variance 2 / fan_in (He et al. 2015)
  kHeUniform,      // uniform in +-sqrt(6 / fan_in)
  kLecunNormal,    // normal, variance 1 / fan_in (LeCun et al. 1998)
  kZeros,
};

// What is put around the input of a window.
enum class Padding : uint8_t {
  kValid,  // nothing: the window stays inside
  kSame,   // zeros: the output has ceil(input / stride) positions; the odd one goes to the end
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
  // numbers per code column. Convolution: channels of the output.
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
  // Batch, layer and group norm.
  double epsilon = 1e-5;
  // Embedding: number of categories of each code column; one number serves all columns.
  std::vector<int64_t> categories;
  // Reshape: extents after the batch.
  std::vector<int64_t> shape;
  // Convolution and pools: one number for all axes, or one per axis (height, width; or steps).
  // Extent of the kernel or pool's window.
  std::vector<int64_t> kernel;
  // Empty: 1, of a pool the window's extent.
  std::vector<int64_t> stride;
  Padding padding = Padding::kValid;
  // Convolution: zeros on both ends, instead of `padding`.
  std::vector<int64_t> pad;
  // Convolution: distance between the kernel's taps; empty: 1.
  std::vector<int64_t> dilation;
  // Convolution: parts of the channels that do not see each other. Group norm: parts of the
  // channels that are normalised together.
  int64_t groups = 1;
  // Global pool.
  Reduction reduction = Reduction::kMean;
};

struct LossSpec {
  LossKind kind = LossKind::kMeanSquaredError;
  // Huber: where the loss turns from quadratic to linear.
  double delta = 1;
  // Cross-entropy: share of the label's probability that is moved to all classes, in [0, 1).
  double label_smoothing = 0;
  // Weight of each class; empty: 1 each. For classes (binary: two weights) only.
  std::vector<double> class_weights;
};

enum class OptimizerKind : uint8_t { kSgd, kAdam, kAdamW, kRmsProp, kAdaGrad };

// Formulas: engine/optim/optimizer.h.
struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::kSgd;
  double learning_rate = 0.01;
  double momentum = 0;  // SGD
  bool nesterov = false;
  double beta1 = 0.9;  // Adam, AdamW
  double beta2 = 0.999;
  double decay = 0.9;  // RMSProp
  double epsilon = 1e-8;
  double weight_decay = 0;  // SGD, Adam: L2 in the gradient; AdamW: decoupled
};

enum class ScheduleKind : uint8_t { kConstant, kStep, kExponential, kCosine };

// Formulas: engine/optim/schedule.h.
struct ScheduleSpec {
  ScheduleKind kind = ScheduleKind::kConstant;
  // Steps over which the rate rises linearly from 0, before the schedule begins.
  int64_t warmup_steps = 0;
  int64_t every_epochs = 1;   // step
  double factor = 0.1;        // step, exponential
  double final_fraction = 0;  // cosine
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

// What the last layer is compared with.
enum class Objective : uint8_t {
  kPredict,      // the target: labels or numbers
  kReconstruct,  // the features that the network takes: autoencoders
};

struct NetworkSpec {
  Objective objective = Objective::kPredict;
  // In order; a layer may take only what stands before it. The last one is the output.
  std::vector<LayerSpec> layers;
  LossSpec loss;
  OptimizerSpec optimizer;
  ScheduleSpec schedule;
  // Gradients are scaled down to this global L2 norm; 0: no limit.
  double clip_norm = 0;
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
