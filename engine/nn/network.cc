#include "engine/nn/network.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layer_stack.h"
#include "engine/passes/autodiff.h"
#include "engine/passes/fusion.h"

namespace beamline::engine {
namespace {

// What turns outputs into probabilities. Hinge losses and the margin loss promise none: there it
// gives scores that are above a half, or largest, for the class that is chosen.
Activation LinkOf(LossKind loss) {
  switch (loss) {
    case LossKind::kBinaryCrossEntropy:
    case LossKind::kHinge:
    case LossKind::kFocal:
      return Activation::kSigmoid;
    case LossKind::kCrossEntropy:
    case LossKind::kMultiClassHinge:
    case LossKind::kMargin:
    case LossKind::kFocalCrossEntropy:
    case LossKind::kKullbackLeibler:
      return Activation::kSoftmax;
    default:
      return Activation::kLinear;
  }
}

bool IsMeanOverOutputs(LossKind loss) {
  return !TakesLabels(loss) && loss != LossKind::kKullbackLeibler;
}

double NumberOf(const LossSpec& loss) {
  if (loss.kind == LossKind::kTriplet) return loss.margin;
  if (loss.kind == LossKind::kMargin) return loss.absent_weight;
  return loss.kind == LossKind::kInfoNce ? loss.temperature : loss.gamma;
}

class Wiring {
 public:
  Wiring(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch, NetworkMode mode)
      : spec_(spec), layout_(layout), batch_(batch), mode_(mode) {
    network_.batch = batch;
  }

  Network Build() {
    if (spec_.layers.empty()) Fail("the network has no layers: add at least one dense layer");
    if (mode_ == NetworkMode::kEvaluation ||
        (mode_ == NetworkMode::kTraining && (layout_.has_weights || JudgesSteps()))) {
      network_.weights = graph().Input("weights", {LossRows()});
    }
    if (layout_.has_lengths) network_.lengths = graph().CodesInput("lengths", {batch_});
    if (layout_.has_lengths) network_.steps = layout_.steps;
    if (spec_.objective == Objective::kTranslate) AddSource();
    network_.output = AddLayers();
    FindSteps();
    FinishOutput();
    if (mode_ != NetworkMode::kPrediction) AddLoss();
    if (mode_ == NetworkMode::kTraining) AddTraining();
    if (mode_ != NetworkMode::kTraining) graph().MarkOutput(network_.output);
    Optimize(&graph(), spec_.recomputed_parts);
    return std::move(network_);
  }

 private:
  Graph& graph() { return network_.graph; }

  // What layers see of the features.
  Value FeatureSequence(const std::string& layer) {
    const Value flat = Features(layer);
    if (layout_.steps == 0) return flat;
    if (layout_.features % layout_.steps != 0) {
      Fail("the data has ", layout_.features, " features in ", layout_.steps,
           " steps, which do not divide evenly");
    }
    if (!sequence_.valid()) {
      sequence_ = graph().Reshape(kFeaturesInput, flat,
                                  {batch_, layout_.steps, layout_.features / layout_.steps});
    }
    return sequence_;
  }

  // [batch, features]
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
      const int64_t unseen = spec_.objective == Objective::kNextToken ? 1 : layout_.target_codes;
      network_.codes = graph().CodesInput("codes", {batch_, layout_.code_columns - unseen});
    }
    return network_.codes;
  }

  // Whatever reads the source leaves out what lies behind its end.
  void AddSource() {
    if (layout_.target_codes < 1 || layout_.target_codes >= layout_.code_columns) {
      Fail("the data has ", layout_.code_columns, " codes, of which ", layout_.target_codes,
           " are of the target: a translation needs a source and a target of tokens");
    }
    source_lengths_ = graph().Lengths("source", Codes("source"));
    network_.steps = layout_.code_columns - layout_.target_codes;
  }

  Value TargetCodes(const std::string& layer) {
    if (spec_.objective != Objective::kTranslate) {
      Fail("layer \"", layer, "\" takes \"target\", but the network translates nothing: take ",
           "\"codes\"");
    }
    if (!network_.target_codes.valid()) {
      network_.target_codes = graph().CodesInput(kTargetInput, {batch_, layout_.target_codes});
    }
    return network_.target_codes;
  }

  Value Nodes(const std::string& layer) {
    if (layout_.nodes == nullptr) {
      Fail("layer \"", layer, "\" takes \"nodes\" but the data has no graph: give it one");
    }
    const Value found = graph().Find(kNodesInput);
    if (found.valid()) return found;
    return graph().SharedConstant(kNodesInput, layout_.nodes->features);
  }

  Value InputOf(const std::string& layer, const std::string& name) {
    const bool of_nodes = layout_.features == 0 && layout_.nodes != nullptr;
    if (name == kFeaturesInput) return of_nodes ? Nodes(layer) : FeatureSequence(layer);
    if (name == kTargetInput) return TargetCodes(layer);
    return name == kCodesInput ? Codes(layer) : Nodes(layer);
  }

  Value AddLayers() {
    LayerStack stack;
    stack.layers = spec_.layers;
    stack.mode = mode_;
    stack.batch = batch_;
    stack.input = [this](const std::string& layer, const std::string& name) {
      return InputOf(layer, name);
    };
    stack.last_units = OutputShape(spec_, layout_, batch_).Columns();
    stack.outputs_averaged = IsMeanOverOutputs(spec_.loss.kind) ? OutputsNeeded(spec_, layout_) : 1;
    stack.nodes = layout_.nodes.get();
    if (!JudgesSteps()) stack.weights = network_.weights;
    stack.lengths = network_.lengths;
    if (layout_.has_lengths) stack.sequence_steps = layout_.steps;
    if (source_lengths_.valid()) {
      stack.lengths = source_lengths_;
      stack.sequence_steps = network_.steps;
      stack.has_target_codes = true;
    }
    return AppendLayers(&graph(), stack, &network_.rates, &losses_);
  }

  // All layers that read the lengths must see sequences of as many steps.
  void FindSteps() {
    for (const Node& node : graph().nodes()) {
      const bool reads = node.op == OpKind::kRecurrent || node.op == OpKind::kMemoryNetwork ||
                         node.op == OpKind::kSequenceLast;
      if (!reads || !node.attributes.has_lengths) continue;
      const int64_t steps = graph().shape(node.inputs[0]).dim(1);
      if (network_.steps != 0 && steps != network_.steps) {
        Fail("layer \"", node.name, "\" reads sequences of ", steps, " steps, but the rows have ",
             "lengths of up to ", network_.steps, ": do not change the number of steps between ",
             "recurrent layers, or cut the rows to one length");
      }
      network_.steps = steps;
    }
  }

  void FinishOutput() {
    const LayerSpec& last = spec_.layers.back();
    const LossKind loss = spec_.loss.kind;
    const Activation link = LinkOf(loss);
    const bool activates = last.kind == LayerKind::kDense || last.kind == LayerKind::kActivation;
    const bool squashes =
        last.activation == Activation::kSigmoid || last.activation == Activation::kSoftmax;
    if (link != Activation::kLinear && activates && squashes) {
      Fail("the last layer has activation ", Name(last.activation), ", but the loss ", Name(loss),
           " applies it itself: set its activation to linear");
    }
    if (graph().info(network_.output).dtype != graph().real()) {
      Fail("the last layer gives codes and not numbers: end with a dense layer");
    }
    RequireOutputs();
    if (mode_ != NetworkMode::kPrediction) return;
    network_.probabilities = ComparesRows(loss)
                                 ? graph().UnitRows("unit", network_.output)
                                 : graph().Activate("probabilities", network_.output, link);
    graph().MarkOutput(network_.probabilities);
    if (spec_.objective != Objective::kReconstruct) return;
    network_.row_losses = BuildLoss(Features("loss")).row_losses;
    graph().MarkOutput(network_.row_losses);
  }

  // Rows that the loss judges: those of the batch, or every step of them.
  bool JudgesSteps() const {
    return spec_.objective == Objective::kNextToken || spec_.objective == Objective::kEachStep ||
           spec_.objective == Objective::kMasked || spec_.objective == Objective::kTranslate;
  }
  int64_t LossRows() const {
    return JudgesSteps() ? OutputShape(spec_, layout_, batch_).Rows() : batch_;
  }

  void RequireOutputs() {
    const Shape needed = OutputShape(spec_, layout_, batch_);
    const Shape shape = graph().shape(network_.output);
    const bool any = needed.Columns() == 0 && shape.rank() == 2;
    if (any || shape == needed) return;
    if (spec_.objective == Objective::kEachStep && shape.rank() != 3) {
      Fail("the last layer has outputs of shape ", shape, " but each step has a target: let it ",
           "give ", needed, ", with sequence: true in recurrent layers");
    }
    const bool several = spec_.objective == Objective::kReconstruct || layout_.targets > 1;
    if (several && shape.rank() > 2 && shape.NumElements() == needed.NumElements()) {
      network_.output = graph().Flatten("outputs", network_.output);
      return;
    }
    if (spec_.objective == Objective::kReconstruct) {
      Fail("the last layer has outputs of shape ", shape, " but reconstructs ", needed.Columns(),
           " features: set its units to ", needed.Columns());
    }
    const bool sequence = shape.rank() == 3 && needed.rank() == 2;
    Fail("the last layer has outputs of shape ", shape, " but the loss ", Name(spec_.loss.kind),
         " and the target need ", needed,
         spec_.layers.back().kind == LayerKind::kCapsuleLength
             ? Concat(": set the count of the last capsules to ", needed.Columns())
         : sequence
             ? ": before it, make one row of the steps by reshape: {} or global_pool, or let "
               "the recurrent layer give its last step alone"
             : Concat(": set its units to ", needed.Columns()));
  }

  // Of the outputs; without event weights in prediction.
  Graph::LossValues BuildLoss(Value target) {
    const LossSpec& loss = spec_.loss;
    Graph::LossOptions options = {loss.kind, loss.delta, loss.label_smoothing};
    if (TakesNumber(loss.kind)) {
      options.number = graph().Number("loss/number");
      network_.rates.emplace_back(options.number, NumberOf(loss));
    }
    Value p = network_.output;
    if (ComparesRows(loss.kind)) p = graph().UnitRows("unit", p);
    return graph().Loss(std::string(Name(loss.kind)), p, target, network_.weights,
                        network_.class_weights, options);
  }

  Value Target() {
    if (spec_.objective == Objective::kReconstruct) return Features("loss");
    if (TakesLabels(spec_.loss.kind)) {
      return network_.labels = graph().CodesInput("labels", {LossRows()});
    }
    return network_.targets = graph().Input("targets", graph().shape(network_.output));
  }

  void AddLoss() {
    const Value target = Target();
    if (!spec_.loss.class_weights.empty()) {
      const auto classes = static_cast<int64_t>(spec_.loss.class_weights.size());
      network_.class_weights = graph().Input("class_weights", {classes});
    }
    const Graph::LossValues values = BuildLoss(target);
    network_.main_loss = network_.loss = values.loss;
    network_.weight_sum = values.weight_sum;
    AddWeightPenalties();
    for (const Value loss : losses_) network_.loss = graph().Add("total", network_.loss, loss);
    graph().MarkOutput(network_.loss);
    graph().MarkOutput(network_.main_loss);
    graph().MarkOutput(network_.weight_sum);
  }

  void AddWeightPenalties() {
    if (spec_.weight_l1 == 0 && spec_.weight_l2 == 0) return;
    const Value l1 = graph().Number("weight_penalty/l1");
    const Value l2 = graph().Number("weight_penalty/l2");
    network_.rates.emplace_back(l1, spec_.weight_l1);
    network_.rates.emplace_back(l2, spec_.weight_l2);
    for (const Value parameter : Parameters()) {
      if (graph().shape(parameter).rank() < 2) continue;  // biases, normalisation
      losses_.push_back(graph().WeightPenalty(graph().info(parameter).name, parameter, l1, l2));
    }
  }

  std::vector<Value> Parameters() {
    std::vector<Value> parameters;
    for (size_t i = 0; i < graph().values().size(); ++i) {
      if (graph().values()[i].role == Role::kParameter) {
        parameters.push_back({static_cast<int32_t>(i)});
      }
    }
    return parameters;
  }

  void AddTraining() {
    const std::vector<Value> parameters = Parameters();
    const std::vector<Value> gradients = AppendGradients(&graph(), network_.loss, parameters);
    UpdateOptions options;
    options.rule = RuleOf(spec_.optimizer);
    options.clip_norm = spec_.clip_norm > 0;
    options.clip_value = spec_.clip_value > 0;
    options.decay_matrices_only = spec_.optimizer.decay_matrices_only;
    network_.update = AppendUpdates(&graph(), parameters, gradients, options);
  }

  const NetworkSpec& spec_;
  const BatchLayout& layout_;
  const int64_t batch_;
  const NetworkMode mode_;
  Network network_;
  Value sequence_;             // the features as a sequence, once a layer has asked
  Value source_lengths_;       // kTranslate: [batch]
  std::vector<Value> losses_;  // what layers and weights add to the main loss
};

}  // namespace

Network BuildNetwork(const NetworkSpec& spec, const BatchLayout& layout, int64_t batch,
                     NetworkMode mode) {
  CheckNumbers(spec);
  if (batch < 1) Fail("a batch has at least one row");
  if (layout.nodes != nullptr) CheckNodeGraph(*layout.nodes);
  return Wiring(spec, layout, batch, mode).Build();
}

}  // namespace beamline::engine
