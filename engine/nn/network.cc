#include "engine/nn/network.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxLayers = 10'000;
constexpr int64_t kMaxUnits = int64_t{1} << 24;

class Wiring {
 public:
  Wiring(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch, NetworkMode mode)
      : spec_(spec), layout_(layout), batch_(batch), mode_(mode) {
    network_.batch = batch;
  }

  Network Build() {
    if (spec_.layers.empty()) Fail("the network has no layers: add at least one dense layer");
    if (spec_.layers.size() > kMaxLayers) {
      Fail("the network has ", spec_.layers.size(), " layers: at most ", kMaxLayers,
           " are allowed");
    }
    for (size_t i = 0; i < spec_.layers.size(); ++i) AddLayer(i);
    network_.output = previous_;
    FinishOutput();
    if (mode_ != NetworkMode::kPrediction) AddLoss();
    if (mode_ == NetworkMode::kTraining) AddTraining();
    if (mode_ != NetworkMode::kTraining) graph().MarkOutput(network_.output);
    Optimize(&graph());
    return std::move(network_);
  }

 private:
  Graph& graph() { return network_.graph; }

  Value Features(const std::string& layer) {
    if (layout_.features < 1) {
      Fail("layer \"", layer, "\" takes \"features\" but the data has no numeric columns");
    }
    if (!network_.features.valid()) {
      network_.features = graph().Input("features", {batch_, layout_.features});
    }
    return network_.features;
  }

  Value Codes(const std::string& layer) {
    if (layout_.code_columns < 1) {
      Fail("layer \"", layer,
           "\" takes \"codes\" but the data has no code columns: encode its "
           "categorical columns as codes first");
    }
    if (!network_.codes.valid()) {
      network_.codes = graph().CodesInput("codes", {batch_, layout_.code_columns});
    }
    return network_.codes;
  }

  Value InputNamed(const std::string& layer, const std::string& name) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return found->second;
    if (name == kFeaturesInput) return Features(layer);
    if (name == kCodesInput) return Codes(layer);
    Fail("layer \"", layer, "\" takes \"", name,
         "\", but no layer of that name stands before it: "
         "use \"features\", \"codes\" or an earlier layer");
  }

  std::vector<Value> InputsOf(const LayerSpec& layer, const std::string& name) {
    std::vector<Value> inputs;
    for (const std::string& input : layer.inputs) inputs.push_back(InputNamed(name, input));
    if (!inputs.empty()) return inputs;
    if (layer.kind == LayerKind::kEmbedding) return {Codes(name)};
    if (previous_.valid()) return {previous_};
    return {Features(name)};
  }

  void AddLayer(size_t index) {
    const LayerSpec& layer = spec_.layers[index];
    const std::string name = layer.name.empty() ? Concat("layer", index) : layer.name;
    if (name == kFeaturesInput || name == kCodesInput || by_name_.contains(name)) {
      Fail("layer ", index, ": the name \"", name, "\" is taken: choose another");
    }
    if (name.find('/') != std::string::npos) {
      Fail("layer \"", name, "\": a layer's name must not contain \"/\": choose another");
    }
    const std::vector<Value> inputs = InputsOf(layer, name);
    const bool joins = layer.kind == LayerKind::kConcat || layer.kind == LayerKind::kAdd ||
                       layer.kind == LayerKind::kMultiply;
    if (!joins && inputs.size() > 1) {
      Fail("layer \"", name, "\" takes one input but has ", inputs.size(),
           ": join them with a concat or add layer first");
    }
    previous_ = Apply(layer, name, inputs, index + 1 == spec_.layers.size());
    by_name_[name] = previous_;
  }

  Value Apply(const LayerSpec& layer, const std::string& name, const std::vector<Value>& inputs,
              bool last) {
    const Value x = inputs[0];
    switch (layer.kind) {
      case LayerKind::kDense:
        return Dense(layer, name, x, last);
      case LayerKind::kActivation:
        return graph().Activate(name, x, layer.activation);
      case LayerKind::kDropout:
        return Dropout(layer, name, x);
      case LayerKind::kBatchNorm:
      case LayerKind::kLayerNorm:
        return Normalise(layer, name, x);
      case LayerKind::kEmbedding:
        return Embedding(layer, name, x);
      case LayerKind::kConcat:
        return graph().Concat(name, inputs);
      case LayerKind::kAdd:
      case LayerKind::kMultiply:
        return Fold(layer, name, inputs);
      case LayerKind::kReshape:
        return Reshape(layer, name, x);
    }
    Fail("layer \"", name, "\" is of a kind that is not known");
  }

  Value Dense(const LayerSpec& layer, const std::string& name, Value x, bool last) {
    int64_t units = layer.units;
    if (units == 0 && last) units = OutputsNeeded(spec_.loss, layout_);
    if (units < 1 || units > kMaxUnits) {
      Fail("layer \"", name, "\" has ", units, " units: set units to a number from 1 to ",
           kMaxUnits);
    }
    if (graph().info(x).dtype != graph().real()) {
      Fail("layer \"", name, "\" cannot take codes: embed them first");
    }
    const int64_t inputs = graph().shape(x).Columns();
    if (layer.expected_inputs > 0 && layer.expected_inputs != inputs) {
      Fail("layer \"", name, "\" expects ", layer.expected_inputs, " inputs but gets ", inputs,
           ": set inputs to ", inputs, " or change the layer before it");
    }
    const Initial initial = InitialWeight(layer.initializer, layer.activation, inputs, units);
    const Value weight = graph().Parameter(name + ".weight", {inputs, units}, initial);
    const Value bias = layer.bias ? graph().Parameter(name + ".bias", {units}, {}) : Value();
    return graph().Dense(name, x, weight, bias, layer.activation);
  }

  Value Dropout(const LayerSpec& layer, const std::string& name, Value x) {
    if (!(layer.rate >= 0 && layer.rate < 1)) {
      Fail("layer \"", name, "\": the rate must be at least 0 and below 1, got ", layer.rate);
    }
    if (mode_ != NetworkMode::kTraining) return x;
    const Value rate = graph().Number(name + ".rate");
    network_.rates.emplace_back(rate, layer.rate);
    return graph().Dropout(name, x, rate);
  }

  Value Normalise(const LayerSpec& layer, const std::string& name, Value x) {
    if (!(layer.epsilon > 0)) Fail("layer \"", name, "\": epsilon must be positive");
    const Shape columns({graph().shape(x).Columns()});
    const Value gamma = graph().Parameter(name + ".gamma", columns, {Initial::Kind::kConstant, 1});
    const Value beta = graph().Parameter(name + ".beta", columns, {});
    if (layer.kind == LayerKind::kLayerNorm) {
      return graph().LayerNorm(name, x, gamma, beta, layer.epsilon);
    }
    if (!(layer.momentum >= 0 && layer.momentum < 1)) {
      Fail("layer \"", name, "\": momentum must be at least 0 and below 1, got ", layer.momentum);
    }
    const Value mean = graph().State(name + ".running_mean", columns, 0);
    const Value variance = graph().State(name + ".running_variance", columns, 1);
    if (mode_ == NetworkMode::kTraining) {
      return graph().BatchNorm(name, x, gamma, beta, mean, variance, layer.momentum, layer.epsilon);
    }
    return graph().BatchNormInference(name, x, gamma, beta, mean, variance, layer.epsilon);
  }

  Value Embedding(const LayerSpec& layer, const std::string& name, Value codes) {
    const int64_t columns = graph().shape(codes).Columns();
    if (layer.units < 1 || layer.units > kMaxUnits) {
      Fail("layer \"", name, "\" has dimension ", layer.units, ": set it to at least 1");
    }
    const auto given = static_cast<int64_t>(layer.categories.size());
    if (given != 1 && given != columns) {
      Fail("layer \"", name, "\" has numbers of categories for ", given,
           " code columns but the data has ", columns, ": give one number, or one per column");
    }
    std::vector<int64_t> offsets;
    int64_t total = 0;
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t categories = layer.categories[static_cast<size_t>(given == 1 ? 0 : c)];
      if (categories < 1 || categories > kMaxUnits) {
        Fail("layer \"", name, "\" has ", categories, " categories for code column ", c,
             ": set it to a number from 1 to ", kMaxUnits);
      }
      offsets.push_back(total);
      total += categories;
    }
    const Value table =
        graph().Parameter(name + ".table", {total, layer.units}, InitialTable(layer.units));
    return graph().Embedding(name, table, codes, offsets);
  }

  Value Fold(const LayerSpec& layer, const std::string& name, const std::vector<Value>& inputs) {
    if (inputs.size() < 2) {
      Fail("layer \"", name, "\" joins at least two inputs: name them in inputs");
    }
    Value result = inputs[0];
    for (size_t i = 1; i < inputs.size(); ++i) {
      result = layer.kind == LayerKind::kAdd ? graph().Add(name, result, inputs[i])
                                             : graph().Multiply(name, result, inputs[i]);
    }
    return result;
  }

  Value Reshape(const LayerSpec& layer, const std::string& name, Value x) {
    if (layer.shape.empty()) return graph().Flatten(name, x);
    std::vector<int64_t> extents = {batch_};
    extents.insert(extents.end(), layer.shape.begin(), layer.shape.end());
    return graph().Reshape(name, x, Shape(extents));
  }

  void FinishOutput() {
    const LayerSpec& last = spec_.layers.back();
    const bool logits = spec_.loss.kind == LossKind::kBinaryCrossEntropy ||
                        spec_.loss.kind == LossKind::kCrossEntropy;
    const bool activates = last.kind == LayerKind::kDense || last.kind == LayerKind::kActivation;
    const bool squashes =
        last.activation == Activation::kSigmoid || last.activation == Activation::kSoftmax;
    if (logits && activates && squashes) {
      Fail("the last layer has activation ", Name(last.activation), ", but the loss ",
           Name(spec_.loss.kind), " applies it itself: set its activation to linear");
    }
    if (graph().info(network_.output).dtype != graph().real()) {
      Fail("the last layer gives codes and not numbers: end with a dense layer");
    }
    const int64_t needed = OutputsNeeded(spec_.loss, layout_);
    const Shape& shape = graph().shape(network_.output);
    if (shape != Shape({batch_, needed})) {
      Fail("the last layer has outputs of shape ", shape, " but the loss ", Name(spec_.loss.kind),
           " and the target need [", batch_, ", ", needed, "]: set its units to ", needed);
    }
    if (mode_ != NetworkMode::kPrediction) return;
    network_.probabilities = network_.output;
    if (logits) {
      network_.probabilities = graph().Activate(
          "probabilities", network_.output,
          spec_.loss.kind == LossKind::kCrossEntropy ? Activation::kSoftmax : Activation::kSigmoid);
    }
    graph().MarkOutput(network_.probabilities);
  }

  void AddLoss() {
    const LossSpec& loss = spec_.loss;
    Value target;
    if (TakesLabels(loss.kind)) {
      target = network_.labels = graph().CodesInput("labels", {batch_});
    } else {
      target = network_.targets = graph().Input("targets", graph().shape(network_.output));
    }
    if (layout_.has_weights || mode_ == NetworkMode::kEvaluation) {
      network_.weights = graph().Input("weights", {batch_});
    }
    if (!loss.class_weights.empty()) {
      const auto classes = static_cast<int64_t>(loss.class_weights.size());
      network_.class_weights = graph().Input("class_weights", {classes});
    }
    const Graph::LossValues values =
        graph().Loss(std::string(Name(loss.kind)), network_.output, target, network_.weights,
                     network_.class_weights, {loss.kind, loss.delta, loss.label_smoothing});
    network_.loss = values.loss;
    network_.weight_sum = values.weight_sum;
    graph().MarkOutput(values.loss);
    graph().MarkOutput(values.weight_sum);
  }

  void AddTraining() {
    std::vector<Value> parameters;
    for (size_t i = 0; i < graph().values().size(); ++i) {
      if (graph().values()[i].role == Role::kParameter) {
        parameters.push_back({static_cast<int32_t>(i)});
      }
    }
    const std::vector<Value> gradients = AppendGradients(&graph(), network_.loss, parameters);
    network_.update = AppendUpdates(&graph(), parameters, gradients, RuleOf(spec_.optimizer),
                                    spec_.clip_norm > 0);
  }

  const NetworkSpec& spec_;
  const BatchLayout& layout_;
  const int64_t batch_;
  const NetworkMode mode_;
  Network network_;
  std::map<std::string, Value> by_name_;
  Value previous_;
};

int64_t MatMulFlops(const Graph& graph) {
  int64_t flops = 0;
  for (const Node& node : graph.nodes()) {
    if (node.op != OpKind::kMatMul) continue;
    const Shape& a = graph.shape(node.inputs[0]);
    const int64_t inner = node.attributes.transpose_a ? a.Rows() : a.Columns();
    flops += 2 * inner * graph.shape(node.outputs[0]).NumElements();
  }
  return flops;
}

}  // namespace

Network BuildNetwork(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch,
                     NetworkMode mode) {
  CheckNumbers(spec);
  if (batch < 1) Fail("a batch has at least one row");
  return Wiring(spec, layout, batch, mode).Build();
}

int64_t OutputsNeeded(const LossSpec& loss, const BatchLayout& layout) {
  switch (loss.kind) {
    case LossKind::kCrossEntropy:
      if (layout.classes < 2) {
        Fail(
            "cross-entropy needs a class as target, but the target is numeric: make the target "
            "categorical, or use mean squared error");
      }
      return layout.classes;
    case LossKind::kBinaryCrossEntropy:
      if (layout.classes != 0 && layout.classes != 2) {
        Fail("binary cross-entropy needs a target of two classes, but there are ", layout.classes,
             ": use cross-entropy");
      }
      return layout.classes == 2 ? 1 : std::max<int64_t>(layout.targets, 1);
    default:
      if (layout.classes > 0) {
        Fail("the loss ", Name(loss.kind),
             " needs a numeric target, but the target is a class: "
             "use cross-entropy");
      }
      return std::max<int64_t>(layout.targets, 1);
  }
}

NetworkCost EstimateCost(const NetworkSpec& spec, const BatchLayout& layout) {
  NetworkCost cost;
  const Network training = BuildNetwork(spec, layout, spec.batch_size, NetworkMode::kTraining);
  const Network prediction = BuildNetwork(spec, layout, 1, NetworkMode::kPrediction);
  for (const ValueInfo& info : training.graph.values()) {
    if (info.role == Role::kParameter) cost.parameters += info.shape.NumElements();
  }
  cost.peak_bytes = PlanMemory(training.graph).peak_bytes();
  cost.flops_per_step = MatMulFlops(training.graph);
  cost.flops_per_row = MatMulFlops(prediction.graph);
  return cost;
}

}  // namespace beamline::engine
