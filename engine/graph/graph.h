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
  enum class Kind : uint8_t { kConstant, kUniform, kNormal };
  Kind kind = Kind::kConstant;
  // The constant, the half-width of the uniform range about 0, or the standard deviation.
  double scale = 0;
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
  Value Concat(const std::string& name, std::span<const Value> parts);
  Value Slice(const std::string& name, Value x, int64_t begin, int64_t size);
  Value Add(const std::string& name, Value a, Value b);
  Value Multiply(const std::string& name, Value a, Value b);
  Value Reshape(const std::string& name, Value x, const Shape& shape);
  // [rows, ...] -> [rows, rest].
  Value Flatten(const std::string& name, Value x);

  struct LossOptions {
    LossKind kind = LossKind::kMeanSquaredError;
    double delta = 1;
    double smoothing = 0;
    // []: gamma, margin or temperature of the losses that TakesNumber.
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
  // Replaces the nodes; every input must still be made before it is used.
  void SetNodes(std::vector<Node> nodes) { nodes_ = std::move(nodes); }

 private:
  size_t Check(Value value) const;
  Value Named(const std::string& name, const Shape& shape, DType dtype, Role role, Initial initial);
  void RequireVector(const std::string& name, std::string_view what, Value value,
                     int64_t length) const;
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
};

}  // namespace beamline::engine
