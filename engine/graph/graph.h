// The static graph: values with known shapes, and the nodes that compute them in order.
//
// A graph is made for one batch size: all shapes are numbers. A learner makes one graph per batch
// size that it needs (full, remainder, evaluation); they share parameters by name.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/shape.h"
#include "engine/core/tensor.h"
#include "engine/graph/op.h"

namespace beamline::engine {

// Names a value of one graph. Default: no value.
struct Value {
  int32_t id = -1;
  bool valid() const { return id >= 0; }
  bool operator==(const Value&) const = default;
};

enum class Role : uint8_t {
  kInput,         // written by the caller before each run
  kParameter,     // trained; kept between runs
  kState,         // not trained but kept: running statistics, optimiser state
  kConstant,      // fixed numbers that belong to the graph
  kIntermediate,  // made by a node, lives in the arena
};

// How a parameter or state begins. Elements are drawn by (seed, name of the value, index).
struct Initial {
  // kOrthogonal, [n, blocks * n]: each block is orthogonal, drawn evenly from all such matrices
  // (Saxe et al. 2014).
  enum class Kind : uint8_t { kConstant, kUniform, kNormal, kOrthogonal };
  Kind kind = Kind::kConstant;
  // The constant, the half-width of the uniform range about 0, the standard deviation, or what the
  // orthogonal matrix is multiplied by.
  double scale = 0;
  // kConstant: of elements begin to end - 1 only, the others are 0; all if end is 0.
  int64_t begin = 0;
  int64_t end = 0;
};

struct ValueInfo {
  std::string name;
  Shape shape;
  DType dtype = DType::kFloat32;
  Role role = Role::kIntermediate;
  Initial initial;
  // The caller reads it after a run.
  bool output = false;
  // kConstant: its elements, shared by all copies of the graph.
  std::shared_ptr<const Tensor> constant;
};

struct Node {
  OpKind op = OpKind::kReshape;
  // Of the layer it belongs to, for messages.
  std::string name;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  Attributes attributes;
  // Of the gradients, and what follows from them.
  bool gradient = false;
};

// Builds and holds a graph. Every builder method checks its arguments and throws Error, naming
// `name` and what to change, if they do not fit; the graph is then unchanged. Nodes run in the
// order in which they were added. Not thread-safe.
//
// `name` is the layer's name; it need not be unique. Names of inputs, parameters and states are.
class Graph {
 public:
  // `real` is the type of all values that are not codes: kFloat32, or kFloat64 for checking
  // gradients (reference backend only).
  explicit Graph(DType real = DType::kFloat32);

  // --- Values that nodes take.
  Value Input(const std::string& name, const Shape& shape);
  Value CodesInput(const std::string& name, const Shape& shape);  // int32
  // A number that the caller sets before each run: a learning rate, a dropout rate.
  Value Number(const std::string& name) { return Input(name, Shape()); }
  Value Parameter(const std::string& name, const Shape& shape, Initial initial);
  Value State(const std::string& name, const Shape& shape, double initial);
  // Fixed numbers, rounded to the graph's type; fixed codes. Throws Error if their count is not
  // that of the shape.
  Value Constant(const std::string& name, const Shape& shape, std::span<const double> numbers);
  Value CodesConstant(const std::string& name, const Shape& shape, std::span<const int32_t> codes);
  // As above for elements that several graphs share: float32 or int32. A float64 graph gets a copy.
  Value SharedConstant(const std::string& name, std::shared_ptr<const Tensor> elements);

  // --- Layers. x: [rows, n] unless said otherwise.
  // activation(x W + b) over the last axis; W [n, units]; b [units] or no value.
  // x [..., n] -> [..., units]
  Value Dense(const std::string& name, Value x, Value weight, Value bias, Activation activation);
  // a [m, k], or [..., k] if it is not transposed; b [k, n]. -> [m, n] or [..., n]
  Value MatMul(const std::string& name, Value a, Value b, bool transpose_a = false,
               bool transpose_b = false);
  Value BiasAdd(const std::string& name, Value x, Value bias);
  // Element by element; softmax over the last axis. Any shape.
  Value Activate(const std::string& name, Value x, Activation activation, double alpha = 0.01);
  // Drops with probability `rate` (a Number) and divides the rest by 1 - rate (Srivastava et al.
  // 2014). What is dropped depends on (seed, step, order of the dropout in the graph, element).
  Value Dropout(const std::string& name, Value x, Value rate);
  // Training form: by the batch's statistics (biased variance), updates the running ones (unbiased
  // variance) as running = momentum * running + (1 - momentum) * batch. Event weights do not count.
  Value BatchNorm(const std::string& name, Value x, Value gamma, Value beta, Value running_mean,
                  Value running_variance, double momentum, double epsilon);
  Value BatchNormInference(const std::string& name, Value x, Value gamma, Value beta,
                           Value running_mean, Value running_variance, double epsilon);
  // Over the last axis. Any shape.
  Value LayerNorm(const std::string& name, Value x, Value gamma, Value beta, double epsilon);
  // Row codes[r, c] + offsets[c] of the table [categories, n], for each column c; zeros for a
  // negative code. codes: [rows, c] -> [rows, c * n]
  Value Embedding(const std::string& name, Value table, Value codes,
                  const std::vector<int64_t>& offsets);
  struct AttentionOptions {
    // Must divide the width d.
    int64_t heads = 1;
    // Query i sees keys 0 to i only; needs as many queries as keys.
    bool causal = false;
  };
  // softmax(Q K^T / sqrt(d / heads)) V in each head (Vaswani et al. 2017), without ever storing
  // the [steps, steps] matrix (Dao et al. 2022). qkv: [b, t, 3 d], queries, keys and values side by
  // side. lengths: [b] codes or no value; keys from there on are padding that nobody sees; with no
  // key at all the result is 0. -> [b, t, d]
  Value Attention(const std::string& name, Value qkv, Value lengths,
                  const AttentionOptions& options);
  // The same for queries of one sequence, q: [b, s, d], and keys and values of another, kv: [b, t,
  // 2 d]; lengths are of the latter. -> [b, s, d]
  Value CrossAttention(const std::string& name, Value q, Value kv, Value lengths,
                       const AttentionOptions& options);
  // Turns the pairs (x_0, x_1), (x_2, x_3), ... of the first heads * 2 h columns at step t by the
  // angles whose cos and sin are in row t of the tables [steps, h], the same for each head (RoPE,
  // Su et al. 2021). x: [b, steps, n] -> [b, steps, n]
  Value Rotary(const std::string& name, Value x, Value cos, Value sin, int64_t heads);
  // How many codes of each row there are up to the last that is not negative. codes: [rows, c] ->
  // codes [rows]
  Value Lengths(const std::string& name, Value codes);
  Value Concat(const std::string& name, std::span<const Value> parts);
  Value Slice(const std::string& name, Value x, int64_t begin, int64_t size);
  Value Add(const std::string& name, Value a, Value b);
  Value Multiply(const std::string& name, Value a, Value b);
  Value Reshape(const std::string& name, Value x, const Shape& shape);
  // [rows, ...] -> [rows, rest].
  Value Flatten(const std::string& name, Value x);

  // --- Graph networks (engine/graph/sparse.cc). The edges as compressed sparse rows, and those of
  // the transpose: edge k of row i leads to columns[k].
  struct Adjacency {
    Value offsets;             // [rows + 1]
    Value columns;             // [edges]
    Value transposed_offsets;  // [nodes + 1]
    Value transposed_columns;  // [edges]
    Value transposed_edges;    // [edges]: which edge of the first order each is
  };
  // y_i = sum over edges k of row i of weights_k x_columns[k]. x [nodes, heads * f],
  // weights [edges, heads] -> [rows, heads * f]
  Value SparseMatMul(const std::string& name, Value x, Value weights, const Adjacency& adjacency);
  // a_i + b_columns[k] for each edge k of row i. a [rows, heads], b [nodes, heads] -> [edges,
  // heads]
  Value EdgeAdd(const std::string& name, Value a, Value b, const Adjacency& adjacency);
  // Softmax over the edges of each row. [edges, heads] -> the same
  Value EdgeSoftmax(const std::string& name, Value scores, const Adjacency& adjacency);
  // Of each head, the sum of its columns of x times `a`. x [n, heads * f], a [heads * f] ->
  // [n, heads]
  Value HeadDot(const std::string& name, Value x, Value a, int64_t heads);
  // --- Sequences, [rows, steps, n].
  struct RecurrentOptions {
    RecurrentCell cell = RecurrentCell::kTanh;
    // From the last step (within the row's length) to the first.
    bool reverse = false;
    // Keeps what the gradient needs; without it the layer cannot be trained through.
    bool training = true;
  };
  // States before the first step, [rows, n]; no value: zeros. cell: LSTM, with state.
  struct RecurrentInitial {
    Value state;
    Value cell;
  };
  // All states of a recurrent layer: formulas at RecurrentCell. gates: x W + b, [rows, steps,
  // Gates() * n]; weight: [n, Gates() * n]; candidate_bias: [n], GRU only; lengths: codes [rows],
  // each from 1 to steps, or no value: beyond it the states are zeros and carry no gradient.
  // -> [rows, steps, n]
  Value Recurrent(const std::string& name, Value gates, Value weight, Value candidate_bias,
                  const RecurrentInitial& initial, Value lengths, const RecurrentOptions& options);
  struct MemoryOptions {
    MemoryKind kind = MemoryKind::kNtm;
    int64_t slots = 0;
    int64_t width = 0;
    int64_t reads = 1;
    bool training = true;  // as in RecurrentOptions
  };
  // A network with a memory: formulas at MemoryKind. gates: x W + b of an LSTM, [rows, steps, 4 n];
  // weight: [n + reads * width, 4 n], of its state and what it read; interface_weight: [n,
  // MemoryInterface()], interface_bias; lengths as above. -> [rows, steps, n + reads * width]: the
  // state and what was read
  Value MemoryNetwork(const std::string& name, Value gates, Value weight, Value interface_weight,
                      Value interface_bias, Value lengths, const MemoryOptions& options);
  // Numbers that a controller tells its memory at each step.
  static int64_t MemoryInterface(const MemoryOptions& options);
  // The state after the last step: the last one within the row's length, or in reverse the first.
  // -> [rows, n]
  Value SequenceLast(const std::string& name, Value y, Value lengths, bool reverse);
  // x [rows, n] at each of `steps` steps.
  Value Repeat(const std::string& name, Value x, int64_t steps);
  // Sum over the steps. -> [rows, n]
  Value StepSum(const std::string& name, Value x);
  // x [rows, a, b] -> [rows, b, a]
  Value Transpose(const std::string& name, Value x);
  // --- Images x [batch, height, width, channels]; sequences [batch, steps, channels] are images of
  // height 1 whose height is left out.
  // activation(cross-correlation of x with the weight, plus bias): LeCun et al. 1989.
  // y[b,i,j,n] = sum_klc x[b, i s + k d - low, j s + l d - low, c] W[k,l,c,n] + bias[n]; Window
  // says what the places are. weight [kernel, kernel, channels / groups, units]: unit n sees the
  // part of the channels that its place among the units says. With Window::flip the transposed
  // convolution: weight [kernel, kernel, units / groups, channels].
  Value Conv(const std::string& name, Value x, Value weight, Value bias, Activation activation,
             const Window& window);
  // Largest element, or mean, of each window, channel by channel. Padding never counts; every
  // window must hold at least one place of x. No base dilation, groups or flip.
  Value MaxPool(const std::string& name, Value x, const Window& window);
  Value AveragePool(const std::string& name, Value x, const Window& window);
  // All positions of a channel at once: [batch, ..., channels] -> [batch, channels].
  Value Reduce(const std::string& name, Value x, Reduction reduction);
  // Each example over the positions and channels of each of `groups` parts of the channels, then
  // gamma y + beta by channel (Wu, He 2018). x [batch, ..., channels]
  Value GroupNorm(const std::string& name, Value x, Value gamma, Value beta, int64_t groups,
                  double epsilon);

  // --- Capsules (Sabour et al. 2017; engine/graph/capsules.cc), [batch, capsules, dimension].
  // Each row made shorter than 1, its direction kept: x |x| / (1 + |x|^2). Any shape.
  Value Squash(const std::string& name, Value x);
  // |x| over the last axis: [batch, capsules, dimension] -> [batch, capsules]
  Value CapsuleLength(const std::string& name, Value x);
  // What capsule i votes for: u_i W_i. u: [batch, capsules, k], weight: [capsules, k, n] -> [batch,
  // capsules, n]
  Value Votes(const std::string& name, Value u, Value weight);
  // Routing by agreement. votes: [batch, inputs, capsules * dimension], u_ij of input i for capsule
  // j -> v: [batch, capsules, dimension]. With logits b_ij = 0 at first, `iterations` times:
  // c_i = softmax_j(b_i); s_j = sum_i c_ij u_ij; v_j = squash(s_j); b_ij += u_ij . v_j. The
  // gradient is that of the whole computation: through every iteration, and through the
  // coefficients c too.
  Value Routing(const std::string& name, Value votes, int64_t capsules, int64_t iterations);

  struct LossOptions {
    LossKind kind = LossKind::kMeanSquaredError;
    double delta = 1;
    double smoothing = 0;
    // []: gamma, margin, temperature or weight of the losses that TakesNumber.
    Value number = Value();
  };
  struct LossValues {
    Value loss;        // []: sum w l / sum |w|
    Value weight_sum;  // []: sum |w|
    Value row_losses;  // [rows]: l, unweighted
  };
  // target: labels [rows] (codes) where TakesLabels, else as p. weights: [rows] or no value;
  // class_weights: [classes] or no value, for classes ([2] for binary). Formulas: LossKind.
  LossValues Loss(const std::string& name, Value p, Value target, Value weights,
                  Value class_weights, const LossOptions& options);
  // Each row of x divided by its length; a row shorter than 1e-12 is divided by that. x: [rows, n]
  Value UnitRows(const std::string& name, Value x);
  // Losses that compare each row i of p: [rows, n] with the others, by labels: [rows]. P are the
  // other rows of its label, N those of other labels; rows of weight 0 are in neither.
  //   triplet  mean over P x N of max(0, m + |p_i - p_P|^2 - |p_i - p_N|^2), m = margin
  //            (Schroff et al. 2015; all triplets of a batch, as Ding et al. 2015: no choice of
  //            hard ones that could collapse or depend on order)
  //   InfoNCE  mean over j in P of -log(exp(p_i p_j / T) / sum over k != i of exp(p_i p_k / T)),
  //            T = temperature (van den Oord et al. 2018; NT-Xent of Chen et al. 2020 where each
  //            label is there twice; Khosla et al. 2020 for more)
  // A row without P, or without N for the triplet, has loss 0 and counts in no sum. Its cost grows
  // with the square of the rows (the triplet's up to the cube). Formulas assume unit rows.
  LossValues PairLoss(const std::string& name, Value p, Value labels, Value weights,
                      Value class_weights, const LossOptions& options);

  // --- Noise, and losses that layers add to the main one.
  // Standard normal numbers times `scale` (a Number). They depend on (seed, step, order of the
  // noise in the graph, element), as what Dropout drops. -> shape
  Value Gaussian(const std::string& name, Value scale, const Shape& shape);
  // Sets each value to 0 with probability `rate` (a Number) and leaves the others as they are.
  Value Mask(const std::string& name, Value x, Value rate);
  // mean + exp(log_variance / 2) * noise, x being [mean, log_variance] (Kingma, Welling 2014).
  // x: [rows, 2 k], noise: [rows, k] -> [rows, k]
  Value Sample(const std::string& name, Value x, Value noise);
  // Mean over rows, weighted as in Loss, of the divergence of N(mean, variance) from N(0, 1):
  // -1/2 sum_j (1 + log_variance_j - mean_j^2 - exp(log_variance_j)). x: [rows, 2 k]; weights:
  // [rows] or no value. -> []
  Value LatentLoss(const std::string& name, Value x, Value weights);
  // Without target: sum over rows of |w| sum_j |x_j| / sum |w|. With target (a Number) r:
  // sum_j (r log(r / m_j) + (1 - r) log((1 - r) / (1 - m_j))), m_j the mean of column j weighted by
  // |w| and kept within [1e-6, 1 - 1e-6] (Ng 2011). x: [batch, ..., n]; weights: [batch] or no
  // value. -> []
  Value ActivityLoss(const std::string& name, Value x, Value weights, Value target);
  // l1 sum |w| + l2 sum w^2. l1, l2: Numbers. -> []
  Value WeightPenalty(const std::string& name, Value w, Value l1, Value l2);

  // --- What adversarial training needs (engine/graph/adversarial.cc).
  // Numbers drawn evenly from [0, 1), times `scale` (a Number). They depend on what Gaussian's
  // depend on. -> shape
  Value Uniform(const std::string& name, Value scale, const Shape& shape);
  // share_i a_i + (1 - share_i) b_i of each row i. a, b: [rows, n]; share: [rows]
  Value Interpolate(const std::string& name, Value a, Value b, Value share);
  // Mean over rows of (|g_i| - 1)^2, |g_i| being the row's length (Gulrajani et al. 2017). A row of
  // zeros has no gradient. g: [rows, n] -> []
  Value GradientPenalty(const std::string& name, Value g);

  // Keeps `value` until the end of a run, for the caller to read.
  void MarkOutput(Value value) { values_[Check(value)].output = true; }

  // --- For passes and backends.
  DType real() const { return real_; }
  const std::vector<ValueInfo>& values() const { return values_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const ValueInfo& info(Value value) const { return values_[Check(value)]; }
  const Shape& shape(Value value) const { return info(value).shape; }
  // The input, parameter, state or constant of that name, or no value.
  Value Find(std::string_view name) const;
  // Adds a node without any check, with one new intermediate value per output shape.
  const Node& Append(OpKind op, const std::string& name, std::vector<Value> inputs,
                     const std::vector<Shape>& outputs, const Attributes& attributes = {});
  // All nodes that are added from now on are gradients.
  void BeginGradients() { gradients_ = true; }
  // Replaces the nodes; every input must still be made before it is used.
  void SetNodes(std::vector<Node> nodes) { nodes_ = std::move(nodes); }

 private:
  size_t Check(Value value) const;
  Value Named(const std::string& name, const Shape& shape, DType dtype, Role role, Initial initial);
  Value AppendAttention(const std::string& name, std::vector<Value> inputs, int64_t width,
                        int64_t keys, const AttentionOptions& options);
  void RequireSequence(const std::string& name, Value x) const;
  void RequireLengths(const std::string& name, Value lengths, int64_t rows) const;
  void RequireVector(const std::string& name, std::string_view what, Value value,
                     int64_t length) const;
  Value Pool(const std::string& name, Value x, const Window& window, OpKind op);
  void RequireTarget(const std::string& name, Value p, Value target,
                     const LossOptions& options) const;
  void AddLossInputs(const std::string& name, int64_t rows, int64_t classes, Value weights,
                     Value class_weights, const LossOptions& options, std::vector<Value>* inputs,
                     Attributes* attributes) const;

  DType real_;
  std::vector<ValueInfo> values_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string, int32_t> named_;
  uint64_t dropouts_ = 0;  // of noise too
  bool gradients_ = false;
};

}  // namespace beamline::engine
