// Networks: wiring, widths, loss, memory.
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "pipeline/examples.h"
#include "pipeline/fill_message.h"
#include "pipeline/network.h"
#include "pipeline/node_pairs.h"
#include "pipeline/schema.h"
#include "pipeline/text_value.h"
#include "pipeline/units.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr int kMaxLayers = 1000;

// Walks the layers in order, with the width of each output as far as it is known (0: not).
class NetworkCheck {
 public:
  NetworkCheck(Context& context, std::string path, const v1::TrainStep& train,
               const TargetFacts& target, const FeatureFacts& features)
      : context_(context),
        path_(std::move(path)),
        network_(train.network()),
        shape_(ShapeOf(train.data())),
        target_(target),
        features_(features),
        pairs_(LearnsPairs(train.data())),
        translates_(Translates(train.data())),
        has_shape_(shape_.steps > 0) {}

  void Run() {
    if (network_.layers_size() == 0) {
      context_.errors.Add(path_ + ".layers", "are missing: the smallest network is [dense: {}]");
      return;
    }
    if (network_.layers_size() > kMaxLayers) {
      context_.errors.Add(
          path_ + ".layers",
          absl::StrCat("are ", network_.layers_size(), "; at most ", kMaxLayers, " are possible"));
      return;
    }
    for (int i = 0; i < network_.layers_size(); ++i) CheckLayer(i);
    CheckUse();
    CheckPairLayers();
    CheckLast();
  }

  // Numbers that training learns, as far as widths are known.
  double parameters() const { return parameters_; }

 private:
  std::string At(int i) const { return absl::StrCat(path_, ".layers.", i); }
  std::string NameOf(int i) const {
    return network_.layers(i).name().empty() ? absl::StrCat("layer", i) : network_.layers(i).name();
  }
  bool IsLast(int i) const { return i + 1 == network_.layers_size(); }

  void CheckName(int i) {
    const std::string& name = network_.layers(i).name();
    if (name == "features" || name == "codes" || (translates_ && name == "target")) {
      context_.errors.Add(At(i) + ".name", absl::StrCat("\"", name,
                                                        "\" is the network's input: "
                                                        "take another name"));
    } else if (name.size() > 63 || name.find_first_of("./ \"\\") != std::string::npos) {
      context_.errors.Add(At(i) + ".name",
                          "is at most 63 characters without '.', '/', quotes and "
                          "spaces");
    } else if (index_.contains(NameOf(i))) {
      context_.errors.Add(At(i) + ".name", absl::StrCat("layer ", index_.at(NameOf(i)),
                                                        " has the name \"", NameOf(i), "\" too"));
    }
  }

  // Widths of what the layer takes.
  std::vector<int64_t> InputWidths(int i) {
    const v1::Layer& layer = network_.layers(i);
    std::vector<std::string> inputs(layer.inputs().begin(), layer.inputs().end());
    if (inputs.empty()) {
      inputs.push_back(layer.has_embedding() ? "codes" : i == 0 ? "features" : NameOf(i - 1));
    }
    std::vector<int64_t> widths;
    for (size_t j = 0; j < inputs.size(); ++j) {
      const std::string at = layer.inputs_size() > 0 ? absl::StrCat(At(i), ".inputs.", j) : At(i);
      used_.insert(inputs[j]);
      const bool codes = inputs[j] == "codes" || (translates_ && inputs[j] == "target");
      if (codes != layer.has_embedding()) {
        const char* const known = translates_ ? "\"codes\" or \"target\"" : "\"codes\"";
        context_.errors.Add(
            at, codes ? absl::StrCat("\"", inputs[j], "\" are for embeddings only")
                      : absl::StrCat("an embedding takes ", known, ", and nothing else"));
        widths.push_back(0);
      } else if (codes) {
        widths.push_back(features_.code_columns * std::max<int64_t>(shape_.steps, 1));
      } else if (inputs[j] == "features") {
        widths.push_back(features_.features);
      } else if (const auto found = index_.find(inputs[j]); found != index_.end()) {
        widths.push_back(widths_[static_cast<size_t>(found->second)]);
      } else {
        std::vector<std::string> known = {"features"};
        for (const auto& [name, k] : index_) known.push_back(name);
        context_.errors.Add(at, absl::StrCat("no layer before this one is named \"", inputs[j],
                                             "\"", Hint(inputs[j], known)));
        widths.push_back(0);
        wired_ = false;
      }
    }
    return widths;
  }

  void CheckLayer(int i) {
    CheckName(i);
    const v1::Layer& layer = network_.layers(i);
    const std::vector<int64_t> inputs = InputWidths(i);
    const bool joins = layer.has_concat() || layer.has_add() || layer.has_multiply();
    const bool reads_two = layer.has_attention() && inputs.size() == 2;
    if (joins && inputs.size() < 2) {
      context_.errors.Add(At(i) + ".inputs", "needs two layers or more to join");
    } else if (!joins && !reads_two && inputs.size() > 1) {
      context_.errors.Add(At(i) + ".inputs",
                          "only concat, add and multiply take several inputs, and attention two");
    }
    has_shape_ = has_shape_ || layer.has_reshape() || layer.has_embedding();
    const LayerPlace place{
        At(i), layer, inputs, IsLast(i), IsLast(i) ? OutputsNeeded() : 0, CapsulesBefore(i)};
    const LayerFacts facts = inputs.empty() ? LayerFacts() : CheckLayerNumbers(context_, place);
    widths_.push_back(facts.width);
    capsules_.push_back(facts.capsules);
    parameters_ += facts.parameters;
    index_.emplace(NameOf(i), i);
  }

  // Of the layer that this one takes alone.
  int64_t CapsulesBefore(int i) const {
    const v1::Layer& layer = network_.layers(i);
    if (layer.inputs().empty()) return i == 0 ? 0 : capsules_[static_cast<size_t>(i) - 1];
    const auto found = index_.find(layer.inputs(0));
    return found == index_.end() ? 0 : capsules_[static_cast<size_t>(found->second)];
  }

  void CheckUse() {
    for (int i = 0; wired_ && i + 1 < network_.layers_size(); ++i) {
      if (!used_.contains(NameOf(i))) {
        context_.errors.Add(At(i), absl::StrCat("no layer takes the output of \"", NameOf(i),
                                                "\": name it in the inputs of one, or remove it"));
      }
    }
    const bool known = !translates_ && features_.features + features_.code_columns > 0;
    if (known && features_.code_columns > 0 && !used_.contains("codes")) {
      context_.errors.Add(path_ + ".layers",
                          "no embedding takes the columns that the ordinal "
                          "transform makes: add one, or use one_hot");
    }
    if (known && features_.code_columns == 0 && used_.contains("codes")) {
      context_.errors.Add(path_ + ".layers",
                          "there is nothing to embed: add an ordinal transform "
                          "to the data");
    }
    if (known && features_.features == 0 && used_.contains("features")) {
      context_.errors.Add(path_ + ".layers",
                          "there are no numeric features: all columns are codes "
                          "for an embedding");
    }
  }

  // Width that loss and target need; 0 if not known.
  int64_t OutputsNeeded() const {
    if (target_.outputs > 0 || target_.generates) return target_.outputs;
    const int64_t rows = target_.forecasts ? shape_.horizon : std::max<int64_t>(shape_.steps, 1);
    if (target_.reconstructs || target_.forecasts) return features_.features * rows;
    if (translates_) return 0;
    if (target_.tokens) return features_.code_sizes.empty() ? 0 : features_.code_sizes[0];
    if (Embeds(network_.loss())) return 0;
    if (network_.loss().has_binary_cross_entropy()) return 1;
    if (!target_.known) return 0;
    if (!target_.is_class) return 1;
    return target_.classes == 2 && !HasOutputPerClass(network_, 2) ? 1 : target_.classes;
  }

  // Nodes become pairs once, where there are pairs.
  void CheckPairLayers() {
    int first = -1;
    for (int i = 0; i < network_.layers_size(); ++i) {
      if (!network_.layers(i).has_pair()) continue;
      if (!pairs_) {
        context_.errors.Add(At(i),
                            "makes rows of pairs of nodes, but the data has none: add "
                            "\"pairs: {}\" to data.graph, or remove it");
      } else if (first >= 0) {
        context_.errors.Add(
            At(i), absl::StrCat("layer ", first, " makes pairs of the nodes already: remove one"));
      }
      first = i;
    }
    if (pairs_ && first < 0) {
      context_.errors.Add(path_ + ".layers",
                          "never make pairs of the nodes (graph.pairs): add \"- pair: {}\" behind "
                          "the last graph_conv");
    }
  }

  void CheckLast() {
    const int last = network_.layers_size() - 1;
    const v1::Layer& layer = network_.layers(last);
    const int64_t width = widths_[static_cast<size_t>(last)];
    const int64_t needed = OutputsNeeded();
    if (Embeds(network_.loss()) && layer.has_dense() && layer.dense().units() == 0) {
      context_.errors.Add(At(last) + ".dense.units",
                          "is missing: the loss takes embeddings of any width, such as 32");
    }
    const bool lengthless = network_.loss().has_margin() && !layer.has_capsule_length();
    if (lengthless) {
      context_.errors.Add(At(last),
                          "the loss margin is of the lengths of capsules: add "
                          "\"- capsule_length: {}\" after it");
    }
    // Several axes are compared with all numbers at once: the engine counts them.
    const bool whole = target_.reconstructs || target_.forecasts || target_.outputs > 1;
    const bool counted = !lengthless && (!whole || !has_shape_);
    if (counted && width > 0 && needed > 0 && width != needed) {
      const std::string why =
          target_.outputs > 0    ? target_.outputs_why
          : target_.reconstructs ? absl::StrCat("there are ", needed, " features to reconstruct")
          : target_.forecasts    ? absl::StrCat("the forecast has ", needed)
          : target_.tokens ? absl::StrCat("there are ", needed, " tokens, the unknown one included")
          : target_.is_class ? absl::StrCat("the target has ", target_.classes, " classes")
                             : "the target has one number";
      context_.errors.Add(
          layer.has_dense() ? At(last) + ".dense.units" : At(last),
          absl::StrCat("the last layer gives ", width, width == 1 ? " number" : " numbers", " but ",
                       why, ": ",
                       layer.has_dense() ? absl::StrCat("set units to ", needed, " or leave it out")
                       : layer.has_capsule_length()
                           ? absl::StrCat("set count of the capsules before it to ", needed)
                           : "add \"- dense: {}\" after it"));
    }
    const bool numbers = network_.loss().has_mean_squared_error() ||
                         network_.loss().has_mean_absolute_error() || network_.loss().has_huber() ||
                         (target_.known && !target_.is_class && !target_.tokens &&
                          !network_.loss().has_binary_cross_entropy());
    const bool activated =
        layer.has_activation() ||
        (layer.has_dense() && layer.dense().activation() != v1::ACTIVATION_UNSPECIFIED &&
         layer.dense().activation() != v1::ACTIVATION_LINEAR);
    if (activated && !numbers) {
      context_.errors.Add(layer.has_dense() ? At(last) + ".dense.activation" : At(last),
                          "the last layer must be linear: the loss applies sigmoid or softmax "
                          "itself");
    }
  }

  Context& context_;
  const std::string path_;
  const v1::NetworkLearner& network_;
  const ExampleShape shape_;
  const TargetFacts& target_;
  const FeatureFacts& features_;
  std::map<std::string, int> index_;
  std::vector<int64_t> widths_;
  std::vector<int64_t> capsules_;
  std::set<std::string> used_;
  const bool pairs_;       // examples are pairs of nodes
  const bool translates_;  // "target" is an input
  bool wired_ = true;      // every input was found
  bool has_shape_;         // outputs may have more axes than [batch, width]
  double parameters_ = 0;
};

void CheckClassWeights(Context& context, const std::string& path, const v1::Loss& loss,
                       bool for_numbers, const TargetFacts& target) {
  if (loss.class_weights().empty() && !loss.balanced()) return;
  if (for_numbers || (target.known && !target.is_class)) {
    context.errors.Add(path, target.reconstructs
                                 ? "class weights are for classes, but the features are "
                                   "reconstructed: remove them"
                             : target.tokens || target.forecasts
                                 ? "class weights are for a target of classes: remove them"
                                 : "class weights are for classes, but the target is a number");
    return;
  }
  if (loss.balanced() && !loss.class_weights().empty()) {
    context.errors.Add(path + ".balanced", "only one of balanced and class_weights may be given");
  }
  const std::map<std::string, double> weights(loss.class_weights().begin(),
                                              loss.class_weights().end());
  for (const auto& [name, weight] : weights) {
    const std::string at = absl::StrCat(path, ".class_weights.", name);
    if (!(weight > 0 && weight <= 1e9)) {
      context.errors.Add(at, "must be above 0 and at most 1000000000");
    }
    if (!target.class_names.empty() &&
        std::count(target.class_names.begin(), target.class_names.end(), name) == 0) {
      context.errors.Add(at, absl::StrCat("there is no such class", Hint(name, target.class_names),
                                          ": there are ", absl::StrJoin(target.class_names, ", ")));
    }
  }
}

void CheckLoss(Context& context, const std::string& path, const v1::TrainStep& train,
               const TargetFacts& target) {
  const v1::Loss& loss = train.network().loss();
  const v1::TargetKind kind = train.data().target_kind();
  const bool for_classes = loss.has_binary_cross_entropy() || loss.has_cross_entropy() ||
                           loss.has_hinge() || loss.has_focal() || loss.has_triplet() ||
                           loss.has_info_nce() || loss.has_margin();
  if (Embeds(loss) && !HasTarget(train.data())) {
    context.errors.Add(path, "compares rows by the classes of a target: give data.target");
  } else if (Embeds(loss) && JudgesEachStep(train.data())) {
    context.errors.Add(path, "compares rows, but each step has a target: use cross_entropy");
  }
  CheckRange(context, path + ".focal.gamma", loss.focal().gamma(), 0, 100);
  CheckRange(context, path + ".triplet.margin", loss.triplet().margin(), 1e-9, 1e9);
  CheckRange(context, path + ".margin.absent_weight", loss.margin().absent_weight(), 1e-6, 1e6);
  CheckRange(context, path + ".info_nce.temperature", loss.info_nce().temperature(), 1e-6, 1e6);
  const bool for_numbers = !for_classes && loss.kind_case() != v1::Loss::KIND_NOT_SET;
  if (target.reconstructs && for_classes && !loss.has_binary_cross_entropy()) {
    context.errors.Add(loss.has_cross_entropy() ? path + ".cross_entropy" : path,
                       "is for classes, but the features are reconstructed: use "
                       "mean_squared_error, or binary_cross_entropy for features in [0, 1]");
  } else if (target.forecasts && for_classes) {
    context.errors.Add(path,
                       "is for classes, but a forecast is of numbers: use mean_squared_error");
  } else if (target.tokens && !loss.has_cross_entropy() &&
             loss.kind_case() != v1::Loss::KIND_NOT_SET) {
    context.errors.Add(path, "a token is one of many: use cross_entropy, or leave it out");
  } else if (for_classes && kind == v1::TARGET_KIND_REGRESSION) {
    context.errors.Add(path,
                       "this loss is for classes, but target_kind is regression: use "
                       "mean_squared_error");
  } else if (for_numbers && kind == v1::TARGET_KIND_CLASSIFICATION) {
    context.errors.Add(path,
                       "this loss is for numbers, but target_kind is classification: use "
                       "cross_entropy");
  } else if (loss.has_binary_cross_entropy() && target.known && target.classes > 2) {
    context.errors.Add(path + ".binary_cross_entropy",
                       absl::StrCat("is for two classes, but the target has ", target.classes,
                                    ": use cross_entropy"));
  }
  if (loss.cross_entropy().label_smoothing() < 0 || loss.cross_entropy().label_smoothing() >= 1) {
    context.errors.Add(path + ".cross_entropy.label_smoothing", "must be from 0 to below 1");
  }
  CheckRange(context, path + ".huber.delta", loss.huber().delta(), 1e-9, 1e9);
  CheckClassWeights(context, path, loss, for_numbers, target);
}

// Weights, gradients and optimiser state must fit; activations come on top.
void CheckMemory(Context& context, const std::string& path, double parameters,
                 const MemoryLimit& memory) {
  constexpr double kCopies = 4;  // weight, gradient, two moments
  const double needed = parameters * kCopies * sizeof(float);
  if (needed <= static_cast<double>(memory.bytes)) return;
  context.errors.Add(
      path + ".layers",
      absl::StrCat("the network has ", NumberText(parameters), " parameters and needs more than ",
                   BytesText(std::ceil(needed / (1 << 20)) * (1 << 20)),
                   " to train, but the step has ", BytesText(static_cast<double>(memory.bytes)),
                   ": make it smaller, or raise ", memory.field));
}

}  // namespace

double CheckLayers(Context& context, const std::string& path, const v1::TrainStep& train,
                   const TargetFacts& target, const FeatureFacts& features) {
  NetworkCheck check(context, path, train, target, features);
  check.Run();
  return check.parameters();
}

void CheckNetwork(Context& context, const std::string& path, const v1::TrainStep& train,
                  const TargetFacts& target, const FeatureFacts& features,
                  const MemoryLimit& memory) {
  const v1::NetworkLearner& network = train.network();
  CheckLoss(context, path + ".loss", train, target);
  CheckMemory(context, path, CheckLayers(context, path, train, target, features), memory);
  CheckTranslationLayers(context, path, train);
  CheckOptimizer(context, path, network);
  CheckRange(context, path + ".batch_size", network.batch_size(), 1, 1 << 20);
  CheckRange(context, path + ".epochs", network.epochs(), 1, 1'000'000);
  CheckRange(context, path + ".clip_norm", network.clip_norm(), 1e-9, 1e9);
  CheckSteering(context, path, train);
  if (!network.has_early_stopping()) return;
  const v1::EarlyStopping& stopping = network.early_stopping();
  if (!HasValidationRows(train.data().split())) {
    context.errors.Add(path + ".early_stopping",
                       "needs validation rows: give the split a validation part, such as "
                       "\"split: {random: {validation: 0.1}}\"");
  }
  CheckRange(context, path + ".early_stopping.patience", stopping.patience(), 1, 1'000'000);
  CheckRange(context, path + ".early_stopping.min_delta", stopping.min_delta(), 0, 1e9);
  if (!stopping.metric().empty()) {
    CheckMetric(context, path + ".early_stopping.metric", stopping.metric(), target, true);
  }
}

}  // namespace beamline::pipeline::validation
