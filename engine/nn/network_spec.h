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

  kGraphConv,  // [nodes, n] -> [nodes, units]: from each node and its neighbours
  kGraphPool,  // [nodes, n] -> [graphs, n]: sum or mean over the nodes of each graph
  kGather,  // (x [nodes or graphs, n], "codes" [batch, columns]) -> [batch, columns * n]: the rows
            // of x that the codes name, side by side
  kAttention,  // of a sequence [batch, steps, features] to itself, or of the first input to the
               // second
  kPositions,  // adds to each step of a sequence what tells its position
  kSlice,      // `units` features from `begin`
  // In training adds normal noise of `deviation`, then sets values to 0 with probability `rate`.
  kNoise,
  // [batch, 2 n], means and log variances -> [batch, n]: a sample of them in training, else the
  // means. Adds beta times their divergence from N(0, 1) to the loss (Kingma, Welling 2014).
  kLatent,
  // The identity; adds l1 * sum |x| and sparsity_weight * the divergence of the mean activity of
  // each feature from sparsity_target (Ng 2011) to the loss.
  kActivityPenalty,
  // Images [batch, height, width, channels] or sequences [batch, steps, channels].
  kConv,           // activation(cross-correlation with the kernel + b) (LeCun et al. 1989)
  kConvTranspose,  // its transpose, which enlarges: [batch, height * stride, ...] with kSame
  kMaxPool,        // largest element of each window
  kAveragePool,    // mean of each window
  kGlobalPool,     // [batch, ..., channels] -> [batch, channels]
  kGroupNorm,      // (Wu, He 2018)
  // Over [batch, steps, features]; formulas: RecurrentCell. The rows' lengths count where the
  // layout has them.
  kRnn,
  kLstm,
  kGru,
  kRepeat,     // [batch, features] -> [batch, steps, features]
  kTranspose,  // [batch, steps, features] -> [batch, features, steps]
  // Capsules (Sabour et al. 2017), [batch, capsules, dimension]; Graph::Routing has the formulas.
  kPrimaryCapsules,  // images or sequences -> a convolution's channels in groups of `dimension`,
                     // squashed: `capsules` at each position
  kCapsules,         // votes of each capsule for `capsules` others, routed by agreement
  kCapsuleLength,    // -> [batch, capsules]
  // (x [nodes, n], "codes" [batch, 2]) -> what PairKind makes of the rows of x that the codes name.
  kPair,
  // Over [batch, steps, features], a memory and its controller; formulas: MemoryKind. [batch,
  // steps, units + heads * width], or without `sequence` the last step.
  kMemory,
};

enum class PositionKind : uint8_t {
  kLearned,
  kSinusoidal,  // sin and cos at wavelengths from 2 pi to 10,000 * 2 pi (Vaswani et al. 2017)
};

// What the output is compared with.
enum class Objective : uint8_t {
  kTarget,     // the target of each row
  kNextToken,  // of the codes in each row, at each of the first code_columns - 1 the one behind it
  kReconstruct,  // the features, as they were before any layer; the data needs no target
  kEachStep,     // the target of each step of a sequence: BatchLayout::target_steps
  kMasked,       // of the codes in each row, those that are hidden from it: MaskingSpec
  // Of the last target_codes of each row, each from those before it and from the codes of the
  // source, which stand before them: BatchLayout::target_codes, kBoundaryCode.
  kTranslate,
};

enum class Initializer : uint8_t {
  kDefault,        // He normal before ReLU-like activations, LeCun normal before SELU, else Glorot
  kGlorotUniform,  // uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot, Bengio 2010)
  kHeNormal,       // normal, variance 2 / fan_in (He et al. 2015)
  kHeUniform,      // uniform in +-sqrt(6 / fan_in)
  kLecunNormal,    // normal, variance 1 / fan_in (LeCun et al. 1998)
  kZeros,
};

// With A the arcs, d_i the number of arcs into node i, N(i) where they come from:
enum class GraphConvKind : uint8_t {
  // activation(sum_j x_j W / sqrt(d_i d_j) + b) over N(i) and i itself, which d counts (Kipf,
  // Welling 2017)
  kGcn,
  // activation(x_i W + mean_N(i)(x_j) V + b) (GraphSAGE: Hamilton et al. 2017)
  kSage,
  // activation(sum_j a_ij x_j W + b), a_ij = softmax_j(leaky_relu(s.(x_i W) + t.(x_j W))) over N(i)
  // and i, in `heads` parts of the units with s, t and a of their own; `rate` drops from a in
  // training (Velickovic et al. 2018)
  kGat,
  // activation((x_i + sum_N(i) x_j) W + b): a dense layer behind it makes the paper's two-layer
  // perceptron (GIN-0: Xu et al. 2019)
  kGin,
};

enum class PairKind : uint8_t {
  kDot,      // [batch, 1]: their dot product
  kProduct,  // [batch, n]: their product, element by element
  kConcat,   // [batch, 2 n]: one behind the other
};

// What is put around the input of a window.
enum class Padding : uint8_t {
  kValid,  // nothing: the window stays inside
  kSame,   // zeros: the output has ceil(input / stride) positions; the odd one goes to the end
};

// Names that layers may take as inputs beside those of earlier layers.
// Where rows have none but there is a graph, those of its nodes.
inline constexpr char kFeaturesInput[] = "features";
inline constexpr char kCodesInput[] = "codes";
inline constexpr char kNodesInput[] = "nodes";  // features of all nodes of the graph
// kTranslate: the codes before each of those that are to be told, [batch, target codes]. "codes"
// are the source's then.
inline constexpr char kTargetInput[] = "target";

// kTranslate: ends each row of target codes, and stands before the first where the network sees
// them.
inline constexpr int32_t kBoundaryCode = 1;

struct LayerSpec {
  LayerKind kind = LayerKind::kDense;
  // Default: "layer0", "layer1", ...
  std::string name;
  // Layers before this one, "features", "codes" or "target". Default: the layer before; for the
  // first layer "features", for an embedding "codes".
  std::vector<std::string> inputs;
  // Rnn, lstm, gru: width of the state. Dense: width of the output; 0, in the last layer only, is
  // what the loss needs. Embedding: numbers per code column. Convolution: channels of the output.
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
  // Memory: rows and their length; `heads` read; `units` is the width of the controller.
  MemoryKind memory = MemoryKind::kNtm;
  int64_t slots = 0;
  int64_t width = 0;
  // Rnn, lstm, gru: all steps, [batch, steps, units]; without it the last one, [batch, units].
  bool sequence = false;
  // Rnn, lstm, gru: a second layer reads backwards; the outputs are joined: units doubles.
  bool bidirectional = false;
  // Repeat.
  int64_t steps = 0;
  // Reshape: extents after the batch.
  std::vector<int64_t> shape;
  // Graph convolution.
  GraphConvKind graph_conv = GraphConvKind::kGcn;
  // Embedding: the code columns are the steps of a sequence and share one table: [batch, steps,
  // units].
  bool tokens = false;
  // Attention; its units are the width of its result and of all heads together, 0: that of its
  // first input. Graph attention too: parts of the units.
  int64_t heads = 1;
  bool causal = false;
  bool rotary = false;
  // Attention: steps behind the last known code of a row are padding that nobody sees.
  bool mask_padding = false;
  PositionKind positions = PositionKind::kLearned;
  // Slice.
  int64_t begin = 0;
  // Noise: standard deviation of what is added; `rate`: share of values set to 0, not rescaled.
  double deviation = 0;
  // Latent. With 1 the loss is the negative evidence lower bound over the outputs' number.
  double beta = 1;
  // Activity penalty; 0: none. The target is in (0, 1), for sigmoid activities.
  double l1 = 0;
  double sparsity_weight = 0;
  double sparsity_target = 0.05;
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
  // Primary capsules: at each position; capsules. The numbers of each, and how often they are
  // routed.
  int64_t capsules = 0;
  int64_t dimension = 0;
  int64_t iterations = 3;
  PairKind pair = PairKind::kDot;
  // Global pool; graph pool: mean or sum.
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
  double gamma = 2;            // focal
  double margin = 0.2;         // triplet
  double temperature = 0.1;    // InfoNCE
  double absent_weight = 0.5;  // margin loss
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

// Of each known code `share` are chosen to be predicted; in the place of a chosen one the network
// sees code 0 with probability `masked`, any code from 1 on with `random`, and else the code itself
// (Devlin et al. 2018).
struct MaskingSpec {
  double share = 0.15;
  double masked = 0.8;
  double random = 0.1;
};

struct NetworkSpec {
  // In order; a layer may take only what stands before it. The last one is the output.
  std::vector<LayerSpec> layers;
  Objective objective = Objective::kTarget;
  MaskingSpec masking;  // kMasked
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
  // Training computes activations again in so many parts (engine/passes/recompute.h); 1: it keeps
  // them all. No result depends on it.
  int recomputed_parts = 1;
  // Threads of this learner, the calling one included. No result depends on it.
  int threads = 1;
  // "cpu" or "reference".
  std::string backend = "cpu";
};

}  // namespace beamline::engine
