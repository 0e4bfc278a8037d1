#include "engine/nn/network.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"
#include "engine/passes/memory_plan.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxLayers = 10'000;

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
    const LayerRule& rule = RuleFor(layer.kind);
    if (inputs.size() < rule.min_inputs) {
      Fail("layer \"", name, "\" joins at least ", rule.min_inputs, " inputs: name them in inputs");
    }
    if (inputs.size() > rule.max_inputs) {
      Fail("layer \"", name, "\" takes ", rule.max_inputs == 1 ? "one input" : "fewer inputs",
           " but has ", inputs.size(), ": join them with a concat or add layer first");
    }
    const bool last = index + 1 == spec_.layers.size();
    const int64_t default_units = last ? OutputsNeeded(spec_, layout_) : 0;
    previous_ =
        rule.build({graph(), layer, name, inputs, mode_, batch_, default_units, network_.rates});
    by_name_[name] = previous_;
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
    const int64_t needed = OutputsNeeded(spec_, layout_);
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
    if (spec_.objective == Objective::kReconstruct) {
      target = Features("loss");
    } else if (TakesLabels(loss.kind)) {
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

// Multiply-adds of a convolution or one of its gradients, which all pair the same elements: each
// position of the smaller image, or of the one that no zeros are put into, with each weight of a
// group and unit. Taps that look at padding count.
int64_t ConvProducts(const Graph& graph, const Node& node) {
  const bool by_weight = node.op == OpKind::kConvWeightGrad;
  const Shape& weight = graph.shape(by_weight ? node.outputs[0] : node.inputs[1]);
  const Shape& image = graph.shape(by_weight ? node.inputs[1] : node.outputs[0]);
  const Shape& enlarged = graph.shape(node.inputs[0]);
  const bool flip = node.attributes.window.flip;
  return (flip ? enlarged : image).Rows() * weight.NumElements();
}

int64_t Flops(const Graph& graph) {
  int64_t flops = 0;
  for (const Node& node : graph.nodes()) {
    if (node.op == OpKind::kMatMul) {
      const Shape& a = graph.shape(node.inputs[0]);
      const int64_t inner = node.attributes.transpose_a ? a.Rows() : a.Columns();
      flops += 2 * inner * graph.shape(node.outputs[0]).NumElements();
    } else if (node.op == OpKind::kConv || node.op == OpKind::kConvWeightGrad) {
      flops += 2 * ConvProducts(graph, node);
    }
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

namespace {

int64_t FeaturesToReconstruct(const LossSpec& loss, const BatchLayout& layout) {
  if (TakesLabels(loss.kind) || !loss.class_weights.empty()) {
    Fail("the loss ", Name(loss.kind), loss.class_weights.empty() ? "" : " with class weights",
         " is for classes, but the network reconstructs its features: use mean squared error, or "
         "binary cross-entropy for features in [0, 1]");
  }
  if (layout.features < 1) Fail("there are no features to reconstruct: all columns are codes");
  return layout.features;
}

}  // namespace

int64_t OutputsNeeded(const NetworkSpec& spec, const BatchLayout& layout) {
  const LossSpec& loss = spec.loss;
  if (spec.objective == Objective::kReconstruct) return FeaturesToReconstruct(loss, layout);
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
  cost.flops_per_step = Flops(training.graph);
  cost.flops_per_row = Flops(prediction.graph);
  return cost;
}

}  // namespace beamline::engine
