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

  struct LossOptions {
    LossKind kind = LossKind::kMeanSquaredError;
    double delta = 1;
    double smoothing = 0;
  };
  struct LossValues {
    Value loss;        // []: sum w l / sum |w|
    Value weight_sum;  // []: sum |w|
    Value row_losses;  // [rows]: l, unweighted
  };
  // target: labels [rows] (codes) for cross-entropy, else as p. weights: [rows] or no value;
  // class_weights: [classes] or no value, cross-entropy ([2] for binary). Formulas: LossKind.
  LossValues Loss(const std::string& name, Value p, Value target, Value weights,
                  Value class_weights, const LossOptions& options);

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
  Value Pool(const std::string& name, Value x, const Window& window, OpKind op);

  DType real_;
  std::vector<ValueInfo> values_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string, int32_t> named_;
  uint64_t dropouts_ = 0;
};

}  // namespace beamline::engine
