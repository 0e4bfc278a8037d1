// Objective translate: two columns of texts, and layers that see no token before it is told.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "pipeline/schema.h"
#include "pipeline/texts.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

// Of texts whose statistics tell nothing.
constexpr int64_t kAssumedSteps = 8;
constexpr int64_t kFewestTokens = 3;

void CheckTextColumn(Context& context, const std::string& path, const v1::Dataset& dataset,
                     const std::string& name) {
  const v1::Column* column = CheckColumn(context, path, dataset, name);
  if (column == nullptr) return;
  if (!IsText(column->type()) || column->item_shape_size() > 0) {
    context.errors.Add(path, absl::StrCat("column \"", name,
                                          "\" holds numbers: objective: translate is for texts; "
                                          "where they are of digits, give the input the option "
                                          "\"column_types: {",
                                          name, ": categorical}\""));
  } else if (column->statistics().missing() > 0) {
    context.errors.Add(path,
                       absl::StrCat("column \"", name, "\" has ", column->statistics().missing(),
                                    " missing texts: remove these rows from the file"));
  }
}

// How many tokens the texts of a column have, and how many different ones, as far as its
// statistics tell.
struct TextEstimate {
  int64_t steps = 0;
  int64_t tokens = 0;
};
TextEstimate Estimate(const v1::Dataset* dataset, const std::string& name,
                      v1::Translation::Tokens kind) {
  const v1::Column* column = dataset == nullptr ? nullptr : FindColumn(*dataset, name);
  std::set<std::string> tokens;
  TextEstimate estimate;
  if (column == nullptr) return estimate;
  for (const auto& category : column->statistics().top_categories()) {
    std::vector<std::string> of_text = TextTokens(category.value(), kind);
    estimate.steps = std::max(estimate.steps, static_cast<int64_t>(of_text.size()));
    tokens.insert(of_text.begin(), of_text.end());
  }
  estimate.tokens = static_cast<int64_t>(tokens.size());
  return estimate;
}

// What a layer's output depends on.
struct Sight {
  bool source = false;
  bool target = false;
};

// Walks the layers in order. What depends on the target must stay a sequence of its steps, each of
// which has seen the target up to itself and no further.
class SightCheck {
 public:
  SightCheck(Context& context, const std::string& path, const v1::TrainStep& train)
      : context_(context),
        path_(path + ".layers"),
        layers_(train.network().layers()),
        translation_(train.data().translation()) {}

  void Run() {
    Sight all;
    for (int i = 0; i < layers_.size(); ++i) {
      const v1::Layer& layer = layers_[i];
      const std::vector<Sight> inputs = InputsOf(i);
      Sight sight;
      for (const Sight& input : inputs) {
        sight.source = sight.source || input.source;
        sight.target = sight.target || input.target;
      }
      if (layer.has_embedding()) CheckEmbedding(i, sight);
      CheckKnownSteps(i);
      if (layer.has_attention()) {
        CheckAttention(i, inputs.front(), inputs.back());
      } else if (sight.target) {
        CheckSteps(i);
      }
      all.source = all.source || sight.source;
      all.target = all.target || sight.target;
      last_ = seen_[NameOf(i)] = sight;
    }
    if (layers_.empty()) return;  // CheckNetwork complains.
    CheckInputs(all);
    CheckLast();
  }

 private:
  std::string At(int i) const { return absl::StrCat(path_, ".", i); }
  std::string NameOf(int i) const {
    return layers_[i].name().empty() ? absl::StrCat("layer", i) : layers_[i].name();
  }

  std::vector<Sight> InputsOf(int i) {
    const v1::Layer& layer = layers_[i];
    if (layer.inputs().empty()) return {layer.has_embedding() ? Sight{true, false} : last_};
    std::vector<Sight> inputs;
    for (const std::string& name : layer.inputs()) {
      inputs.push_back(name == "codes"    ? Sight{true, false}
                       : name == "target" ? Sight{false, true}
                                          : seen_[name]);
    }
    return inputs;
  }

  void CheckEmbedding(int i, const Sight& sight) {
    const std::string at = At(i) + ".embedding";
    if (layers_[i].embedding().categories() != 0) {
      context_.errors.Add(at + ".categories",
                          "is the number of different tokens, which the training rows tell: leave "
                          "it out");
    }
    if (sight.target && !layers_[i].embedding().tokens()) {
      context_.errors.Add(at + ".tokens",
                          "is missing: each token of the target is a step: set tokens: true");
    }
  }

  // Layers that name numbers of steps.
  void CheckKnownSteps(int i) {
    if (layers_[i].has_repeat() && translation_.max_target() == 0) {
      context_.errors.Add(At(i) + ".repeat.steps",
                          "is a number of steps, but how many a target has is not said: set "
                          "data.translation.max_target, and steps to one more");
    }
    if (layers_[i].reshape().shape_size() > 0 && translation_.max_source() == 0) {
      context_.errors.Add(At(i) + ".reshape.shape",
                          "divides the steps of the source, but how many there are is not said: "
                          "set data.translation.max_source");
    }
  }

  void CheckAttention(int i, const Sight& from, const Sight& to) {
    const std::string at = At(i) + ".attention";
    const bool causal = layers_[i].attention().causal();
    if (to.target && !from.target) {
      context_.errors.Add(At(i) + ".inputs",
                          "let the source look at the target, which is to be told: name the layer "
                          "of the target first, and that of the source second");
    } else if (to.target && !causal) {
      context_.errors.Add(at + ".causal",
                          "is missing: a token would see those behind it, which are to be told: "
                          "set causal: true");
    } else if (from.target && !to.target && causal) {
      context_.errors.Add(at + ".causal",
                          "is for a sequence that looks at itself, but this one looks at the "
                          "source, which is known whole: remove it");
    }
  }

  void CheckRecurrent(int i, const std::string& kind, bool bidirectional, bool sequence) {
    const std::string at = absl::StrCat(At(i), ".", kind);
    if (bidirectional) {
      context_.errors.Add(at + ".bidirectional",
                          "reads the target from its end, and a token would see those behind it, "
                          "which are to be told: remove it");
    }
    if (!sequence) {
      context_.errors.Add(at + ".sequence",
                          "is missing: each token of the target needs a step of its own: set "
                          "sequence: true");
    }
  }

  // Of layers of the target that are no attention.
  void CheckSteps(int i) {
    const v1::Layer& layer = layers_[i];
    switch (layer.kind_case()) {
      case v1::Layer::kRnn:
        return CheckRecurrent(i, "rnn", layer.rnn().bidirectional(), layer.rnn().sequence());
      case v1::Layer::kLstm:
        return CheckRecurrent(i, "lstm", layer.lstm().bidirectional(), layer.lstm().sequence());
      case v1::Layer::kGru:
        return CheckRecurrent(i, "gru", layer.gru().bidirectional(), layer.gru().sequence());
      case v1::Layer::kMemory:
        return CheckRecurrent(i, "memory", false, layer.memory().sequence());
      case v1::Layer::kEmbedding:
      case v1::Layer::kDense:
      case v1::Layer::kActivation:
      case v1::Layer::kDropout:
      case v1::Layer::kLayerNorm:
      case v1::Layer::kConcat:
      case v1::Layer::kAdd:
      case v1::Layer::kMultiply:
      case v1::Layer::kPositions:
      case v1::Layer::kSlice:
      case v1::Layer::kNoise:
      case v1::Layer::kActivityPenalty:
      case v1::Layer::KIND_NOT_SET:  // CheckNetwork complains.
        return;
      case v1::Layer::kBatchNorm:
        context_.errors.Add(At(i),
                            "takes means over all steps of the target, and a token would see those "
                            "behind it, which are to be told: use layer_norm");
        return;
      default:
        context_.errors.Add(At(i),
                            "mixes the steps of the target, and a token would see those behind it, "
                            "which are to be told: use attention with causal: true, or a recurrent "
                            "layer with sequence: true");
    }
  }

  void CheckInputs(const Sight& all) {
    if (!all.source) {
      context_.errors.Add(path_,
                          "never see the source: add \"- embedding: {dimension: 64, tokens: "
                          "true}\", which takes \"codes\"");
    }
    if (!all.target) {
      context_.errors.Add(path_,
                          "never see what of the target is told already: add \"- {inputs: "
                          "[target], embedding: {dimension: 64, tokens: true}}\"");
    }
  }

  void CheckLast() {
    const int last = layers_.size() - 1;
    const v1::Layer& layer = layers_[last];
    if (!layer.has_dense()) {
      context_.errors.Add(At(last),
                          "the last layer must tell each token from all others: add \"- dense: "
                          "{}\" after it");
    } else if (layer.dense().units() != 0) {
      context_.errors.Add(At(last) + ".dense.units",
                          "is the number of different tokens, which the training rows tell: leave "
                          "it out");
    } else if (!last_.target) {
      context_.errors.Add(At(last),
                          "the last layer does not give a step for each token of the target: let "
                          "it follow from \"target\"");
    }
  }

  Context& context_;
  const std::string path_;
  const google::protobuf::RepeatedPtrField<v1::Layer>& layers_;
  const v1::Translation& translation_;
  std::map<std::string, Sight> seen_;  // by layer
  Sight last_;
};

}  // namespace

void CheckTexts(Context& context, const std::string& path, const v1::TrainingData& data,
                const v1::Dataset* dataset, FeatureFacts* facts) {
  const v1::Translation& translation = data.translation();
  CheckRange(context, path + ".translation.max_source",
             static_cast<double>(translation.max_source()), 1, kMaxTextSteps);
  CheckRange(context, path + ".translation.max_target",
             static_cast<double>(translation.max_target()), 1, kMaxTextSteps);
  if (data.target().empty()) {
    context.errors.Add(path + ".target", "is missing: name the column of texts to be told");
  } else if (dataset != nullptr) {
    CheckTextColumn(context, path + ".target", *dataset, data.target());
  }
  if (data.features_size() != 1) {
    context.errors.Add(path + ".features",
                       absl::StrCat("names ", data.features_size(),
                                    " columns, but objective: translate tells a text from one "
                                    "other: name the column of texts to be read"));
  } else if (dataset != nullptr) {
    CheckTextColumn(context, path + ".features.0", *dataset, data.features(0));
  }
  if (data.target_kind() != v1::TARGET_KIND_UNSPECIFIED) {
    context.errors.Add(path + ".target_kind",
                       "is for numbers and classes, but the target is a text: remove it");
  }
  if (data.transforms_size() > 0) {
    context.errors.Add(path + ".transforms",
                       "are for numbers and categories, but objective: translate makes codes of "
                       "texts by itself: remove them");
  }
  for (const auto& [field, given] :
       {std::pair{".windows", data.has_windows()}, std::pair{".sequences", data.has_sequences()},
        std::pair{".graph", data.has_graph()}}) {
    if (!given) continue;
    context.errors.Add(path + field,
                       "makes an example of several rows, but objective: translate learns from "
                       "single ones: remove it");
  }
  if (data.features_size() != 1) return;
  const TextEstimate source = Estimate(dataset, data.features(0), translation.tokens());
  const TextEstimate target = Estimate(dataset, data.target(), translation.tokens());
  const auto steps = [](int64_t given, const TextEstimate& estimate) {
    return given > 0 ? given : estimate.steps > 0 ? estimate.steps : kAssumedSteps;
  };
  facts->code_columns = 2;
  facts->code_sizes = {std::max(source.tokens + 1, kFewestTokens),
                       std::max(target.tokens + 2, kFewestTokens)};
  facts->source_steps = steps(translation.max_source(), source);
  facts->target_steps = steps(translation.max_target(), target) + 1;
  facts->assumed = source.tokens == 0 || target.tokens == 0;
}

void CheckTranslationLayers(Context& context, const std::string& path, const v1::TrainStep& train) {
  if (Translates(train.data())) SightCheck(context, path, train).Run();
}

}  // namespace beamline::pipeline::validation
