#include "engine/nn/layer_stack.h"

#include <algorithm>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "engine/nn/layers.h"

namespace beamline::engine {
namespace {

constexpr int64_t kMaxLayers = 10'000;

class Builder {
 public:
  Builder(Graph* graph, const LayerStack& stack, std::vector<std::pair<Value, double>>* rates,
          std::vector<Value>* losses)
      : graph_(*graph), stack_(stack), rates_(*rates), losses_(*losses) {}

  Value Build() {
    if (stack_.layers.empty()) Fail("the network has no layers: add at least one dense layer");
    if (stack_.layers.size() > kMaxLayers) {
      Fail("the network has ", stack_.layers.size(), " layers: at most ", kMaxLayers,
           " are allowed");
    }
    for (size_t i = 0; i < stack_.layers.size(); ++i) AddLayer(i);
    return previous_;
  }

 private:
  Value InputNamed(const std::string& layer, const std::string& name) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return found->second;
    if (IsReserved(name)) {
      const Value input = stack_.input(layer, name);
      if (name == kTargetInput) of_target_.insert(input.id);
      return input;
    }
    Fail("layer \"", layer, "\" takes \"", name,
         "\", but no layer of that name stands before it: "
         "use \"features\", \"codes\" or an earlier layer");
  }

  std::vector<Value> InputsOf(const LayerSpec& layer, const std::string& name) {
    std::vector<Value> inputs;
    for (const std::string& input : layer.inputs) inputs.push_back(InputNamed(name, input));
    const bool gathers = layer.kind == LayerKind::kGather || layer.kind == LayerKind::kPair;
    if (gathers && inputs.size() == 1) inputs.push_back(stack_.input(name, kCodesInput));
    if (!inputs.empty()) return inputs;
    if (layer.kind == LayerKind::kEmbedding) return {stack_.input(name, kCodesInput)};
    if (gathers) {
      const Value rows = previous_.valid() ? previous_ : stack_.input(name, kNodesInput);
      return {rows, stack_.input(name, kCodesInput)};
    }
    if (previous_.valid()) return {previous_};
    const bool nodes = layer.kind == LayerKind::kGraphConv;
    return {stack_.input(name, nodes ? kNodesInput : kFeaturesInput)};
  }

  bool IsReserved(const std::string& name) const {
    return name == kFeaturesInput || name == kCodesInput || name == kNodesInput ||
           (name == kTargetInput && stack_.has_target_codes);
  }

  // It depends on "target".
  bool OfTarget(Value value) const { return of_target_.contains(value.id); }

  void AddLayer(size_t index) {
    const LayerSpec& layer = stack_.layers[index];
    const std::string name = layer.name.empty() ? Concat("layer", index) : layer.name;
    if (IsReserved(name) || by_name_.contains(name)) {
      Fail("layer ", index, ": the name \"", name, "\" is taken: choose another");
    }
    if (name.find('/') != std::string::npos) {
      Fail("layer \"", name, "\": a layer's name must not contain \"/\": choose another");
    }
    const std::string full = stack_.prefix + name;
    const std::vector<Value> inputs = InputsOf(layer, full);
    const LayerRule& rule = RuleFor(layer.kind);
    if (inputs.size() < rule.min_inputs) {
      Fail("layer \"", full, "\" joins at least ", rule.min_inputs, " inputs: name them in inputs");
    }
    if (inputs.size() > rule.max_inputs) {
      Fail("layer \"", full, "\" takes ", rule.max_inputs == 1 ? "one input" : "fewer inputs",
           " but has ", inputs.size(), ": join them with a concat or add layer first");
    }
    const bool last = index + 1 == stack_.layers.size();
    // Attention has the keys of its second input.
    const bool of_target =
        OfTarget(layer.kind == LayerKind::kAttention ? inputs.back() : inputs[0]);
    previous_ =
        rule.build({graph_, layer, full, inputs, stack_.mode, stack_.batch,
                    last ? stack_.last_units : 0, rates_, stack_.nodes, stack_.weights,
                    stack_.outputs_averaged, losses_, of_target ? Value() : stack_.lengths,
                    stack_.shared, stack_.updates_statistics, stack_.sequence_steps, of_target});
    if (std::any_of(inputs.begin(), inputs.end(), [&](Value x) { return OfTarget(x); })) {
      of_target_.insert(previous_.id);
    }
    by_name_[name] = previous_;
  }

  Graph& graph_;
  const LayerStack& stack_;
  std::vector<std::pair<Value, double>>& rates_;
  std::vector<Value>& losses_;
  std::map<std::string, Value> by_name_;
  Value previous_;
  std::set<int32_t> of_target_;  // ids of values
};

}  // namespace

Value AppendLayers(Graph* graph, const LayerStack& stack,
                   std::vector<std::pair<Value, double>>* rates, std::vector<Value>* losses) {
  return Builder(graph, stack, rates, losses).Build();
}

}  // namespace beamline::engine
