// The numbers of each kind of layer, and the width that it gives.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/graph/graph.h"
#include "pipeline/layers.h"
#include "pipeline/text_value.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr double kMaxWidth = 1'000'000;

LayerFacts CheckDense(Context& context, const LayerPlace& place) {
  const v1::Dense& dense = place.layer.dense();
  const std::string at = place.at + ".dense.units";
  int64_t units = dense.units();
  if (units == 0 && !place.last) {
    context.errors.Add(at, "is missing: only in the last layer it may be left out");
  } else if (units < 0 || static_cast<double>(units) > kMaxWidth) {
    context.errors.Add(at,
                       absl::StrCat("must be from 1 to ", NumberText(kMaxWidth), ", not ", units));
    units = 0;
  }
  if (units == 0 && place.last) units = place.default_units;
  return {units, static_cast<double>(units) * (static_cast<double>(place.inputs[0]) + 1)};
}

LayerFacts CheckEmbedding(Context& context, const LayerPlace& place) {
  const v1::Embedding& embedding = place.layer.embedding();
  CheckRange(context, place.at + ".embedding.dimension", embedding.dimension(), 1, 65536, false);
  CheckRange(context, place.at + ".embedding.categories", embedding.categories(), 2, 1e8);
  const int64_t dimension = std::max(embedding.dimension(), 0);
  return {embedding.tokens() ? dimension : place.inputs[0] * dimension,
          static_cast<double>(embedding.categories()) * static_cast<double>(dimension)};
}

// Layers that join inputs of one width.
LayerFacts CheckEqualWidths(Context& context, const LayerPlace& place) {
  const std::vector<int64_t>& inputs = place.inputs;
  for (size_t j = 1; j < inputs.size(); ++j) {
    if (inputs[j] == 0 || inputs[0] == 0 || inputs[j] == inputs[0]) continue;
    context.errors.Add(absl::StrCat(place.at, ".inputs.", j),
                       absl::StrCat("\"", place.layer.inputs(static_cast<int>(j)), "\" has ",
                                    inputs[j], " numbers, \"", place.layer.inputs(0), "\" has ",
                                    inputs[0], ": only equal widths can be ",
                                    place.layer.has_add() ? "added" : "multiplied"));
  }
  return {inputs[0]};
}

LayerFacts CheckConcat(const LayerPlace& place) {
  LayerFacts facts;
  for (const int64_t input : place.inputs) facts.width += input;
  if (std::count(place.inputs.begin(), place.inputs.end(), 0) > 0) facts.width = 0;
  return facts;
}

LayerFacts CheckReshape(Context& context, const LayerPlace& place) {
  const v1::Reshape& reshape = place.layer.reshape();
  if (reshape.shape_size() > 4) {
    context.errors.Add(place.at + ".reshape.shape", "has at most 4 numbers, the batch not counted");
  }
  for (int i = 0; i < reshape.shape_size(); ++i) {
    CheckRange(context, absl::StrCat(place.at, ".reshape.shape.", i), reshape.shape(i), 1,
               kMaxWidth, false);
  }
  return {reshape.shape().empty() ? 0 : reshape.shape(reshape.shape_size() - 1)};
}

LayerFacts CheckDropout(Context& context, const LayerPlace& place) {
  const double rate = place.layer.dropout().rate();
  if (rate < 0 || rate >= 1) {
    context.errors.Add(place.at + ".dropout.rate",
                       absl::StrCat("must be from 0 to below 1, not ", NumberText(rate)));
  }
  return {place.inputs[0]};
}

LayerFacts CheckNorm(Context& context, const LayerPlace& place) {
  const v1::Layer& layer = place.layer;
  CheckRange(context, place.at + ".batch_norm.momentum", layer.batch_norm().momentum(), 0,
             0.999999);
  CheckRange(context, place.at + ".batch_norm.epsilon", layer.batch_norm().epsilon(), 1e-12, 1);
  CheckRange(context, place.at + ".layer_norm.epsilon", layer.layer_norm().epsilon(), 1e-12, 1);
  return {place.inputs[0], 2.0 * static_cast<double>(place.inputs[0])};
}

LayerFacts CheckActivation(Context& context, const LayerPlace& place) {
  if (place.layer.activation().function() == v1::ACTIVATION_UNSPECIFIED) {
    context.errors.Add(place.at + ".activation.function", "is missing");
  }
  return {place.inputs[0]};
}

LayerFacts CheckRecurrent(Context& context, const LayerPlace& place, const std::string& kind,
                          const v1::Recurrent& recurrent, int gates) {
  const std::string at = place.at + "." + kind;
  CheckRange(context, at + ".units", recurrent.units(), 1, 65536, false);
  const v1::Activation activation = recurrent.activation();
  const bool given = activation != v1::ACTIVATION_UNSPECIFIED;
  if (given && !place.layer.has_rnn()) {
    context.errors.Add(at + ".activation", "is for rnn only: the gates of this layer are fixed");
  } else if (given && activation != v1::ACTIVATION_TANH && activation != v1::ACTIVATION_RELU) {
    context.errors.Add(at + ".activation", "must be tanh or relu");
  }
  const int64_t units = std::max(recurrent.units(), 0);
  const int64_t directions = recurrent.bidirectional() ? 2 : 1;
  const double per_unit = static_cast<double>(place.inputs[0]) + static_cast<double>(units) + 1;
  return {directions * units, static_cast<double>(directions * gates * units) * per_unit};
}

LayerFacts CheckMemory(Context& context, const LayerPlace& place) {
  const v1::Memory& memory = place.layer.memory();
  const std::string at = place.at + ".memory";
  CheckRange(context, at + ".units", memory.units(), 1, 65536, false);
  CheckRange(context, at + ".slots", memory.slots(), 3, 65536);
  CheckRange(context, at + ".width", memory.width(), 1, 65536);
  CheckRange(context, at + ".read_heads", memory.read_heads(), 1, 1024);
  engine::LayerSpec layer = ToLayer(place.layer, {});
  if (layer.units < 1 || layer.slots < 3 || layer.width < 1 || layer.heads < 1) return {};
  const auto units = static_cast<double>(layer.units);
  const auto read = static_cast<double>(layer.heads) * static_cast<double>(layer.width);
  const auto interface = static_cast<double>(
      engine::Graph::MemoryInterface({layer.memory, layer.slots, layer.width, layer.heads, false}));
  return {layer.units + layer.heads * layer.width,
          4 * units * (static_cast<double>(place.inputs[0]) + units + read + 1) +
              (units + 1) * interface};
}

LayerFacts CheckRepeat(Context& context, const LayerPlace& place) {
  CheckRange(context, place.at + ".repeat.steps", place.layer.repeat().steps(), 1, 65536, false);
  return {place.inputs[0]};
}

LayerFacts CheckNoise(Context& context, const LayerPlace& place) {
  const v1::Noise& noise = place.layer.noise();
  CheckRange(context, place.at + ".noise.deviation", noise.deviation(), 0, 1e6);
  if (noise.masking() < 0 || noise.masking() >= 1) {
    context.errors.Add(place.at + ".noise.masking", absl::StrCat("must be from 0 to below 1, not ",
                                                                 NumberText(noise.masking())));
  }
  if (noise.deviation() == 0 && noise.masking() == 0) {
    context.errors.Add(place.at + ".noise", "disturbs nothing: give deviation or masking");
  }
  return {place.inputs[0]};
}

LayerFacts CheckLatent(Context& context, const LayerPlace& place) {
  CheckRange(context, place.at + ".latent.beta", place.layer.latent().beta(), 0, 1e6);
  if (place.inputs[0] % 2 != 0) {
    context.errors.Add(
        place.at,
        absl::StrCat("takes a mean and a log variance for each number, but its input has ",
                     place.inputs[0], " numbers: give the layer before it ", place.inputs[0] + 1,
                     " units"));
  }
  return {place.inputs[0] / 2};
}

LayerFacts CheckActivityPenalty(Context& context, const LayerPlace& place) {
  const v1::ActivityPenalty& penalty = place.layer.activity_penalty();
  const std::string at = place.at + ".activity_penalty";
  CheckRange(context, at + ".l1", penalty.l1(), 0, 1e6);
  CheckRange(context, at + ".weight", penalty.weight(), 0, 1e6);
  CheckRange(context, at + ".target", penalty.target(), 1e-6, 1 - 1e-6);
  if (penalty.l1() == 0 && penalty.weight() == 0) {
    context.errors.Add(at, "penalises nothing: give l1, or weight and target");
  }
  return {place.inputs[0]};
}

LayerFacts CheckGraphConv(Context& context, const LayerPlace& place) {
  const v1::GraphConv& conv = place.layer.graph_conv();
  const std::string at = place.at + ".graph_conv";
  const bool gat = conv.kind() == v1::GraphConv::KIND_GAT;
  int64_t units = conv.units();
  if (units == 0 && place.last) units = place.default_units;
  if (units == 0 && !place.last) {
    context.errors.Add(at + ".units", "is missing: only in the last layer it may be left out");
  }
  CheckRange(context, at + ".units", static_cast<double>(units), 1, kMaxWidth);
  CheckRange(context, at + ".heads", conv.heads(), 1, 1024);
  if ((conv.heads() > 1 || conv.dropout() != 0) && !gat) {
    context.errors.Add(at, "heads and dropout are for kind: gat");
  } else if (conv.dropout() < 0 || conv.dropout() >= 1) {
    context.errors.Add(at + ".dropout",
                       absl::StrCat("must be from 0 to below 1, not ", NumberText(conv.dropout())));
  } else if (units > 0 && units % std::max(conv.heads(), 1) != 0) {
    context.errors.Add(at + ".heads", absl::StrCat("are ", conv.heads(),
                                                   ", which do not divide the ", units, " units"));
  }
  const double parts = conv.kind() == v1::GraphConv::KIND_SAGE ? 2 : 1;
  return {units, parts * static_cast<double>(units) * (static_cast<double>(place.inputs[0]) + 1)};
}

LayerFacts CheckPair(const LayerPlace& place) {
  switch (place.layer.pair().kind()) {
    case v1::NodePair::KIND_PRODUCT:
      return {place.inputs[0]};
    case v1::NodePair::KIND_CONCAT:
      return {2 * place.inputs[0]};
    default:
      return {1};
  }
}

LayerFacts NotBuilt(Context& context, const LayerPlace& place) {
  context.unimplemented.Add(place.at, "layers of this kind are not built yet");
  return {};
}

}  // namespace

LayerFacts CheckLayerNumbers(Context& context, const LayerPlace& place) {
  switch (place.layer.kind_case()) {
    case v1::Layer::kDense:
      return CheckDense(context, place);
    case v1::Layer::kActivation:
      return CheckActivation(context, place);
    case v1::Layer::kDropout:
      return CheckDropout(context, place);
    case v1::Layer::kBatchNorm:
    case v1::Layer::kLayerNorm:
      return CheckNorm(context, place);
    case v1::Layer::kEmbedding:
      return CheckEmbedding(context, place);
    case v1::Layer::kConcat:
      return CheckConcat(place);
    case v1::Layer::kAdd:
    case v1::Layer::kMultiply:
      return CheckEqualWidths(context, place);
    case v1::Layer::kReshape:
      return CheckReshape(context, place);
    case v1::Layer::kConv:
    case v1::Layer::kConvTranspose:
    case v1::Layer::kMaxPool:
    case v1::Layer::kAveragePool:
    case v1::Layer::kGlobalPool:
    case v1::Layer::kGroupNorm:
      return CheckConvLayer(context, place);
    case v1::Layer::kRnn:
      return CheckRecurrent(context, place, "rnn", place.layer.rnn(), 1);
    case v1::Layer::kLstm:
      return CheckRecurrent(context, place, "lstm", place.layer.lstm(), 4);
    case v1::Layer::kGru:
      return CheckRecurrent(context, place, "gru", place.layer.gru(), 3);
    case v1::Layer::kMemory:
      return CheckMemory(context, place);
    case v1::Layer::kRepeat:
      return CheckRepeat(context, place);
    case v1::Layer::kAttention:
    case v1::Layer::kPositions:
    case v1::Layer::kSlice:
      return CheckAttentionLayer(context, place);
    case v1::Layer::kGraphConv:
      return CheckGraphConv(context, place);
    case v1::Layer::kPair:
      return CheckPair(place);
    case v1::Layer::kGraphPool:
      return {place.inputs[0]};
    case v1::Layer::kTranspose:
      return {};  // The engine counts the steps.
    case v1::Layer::kPrimaryCapsules:
    case v1::Layer::kCapsules:
    case v1::Layer::kCapsuleLength:
      return CheckCapsuleLayer(context, place);
    case v1::Layer::kNoise:
      return CheckNoise(context, place);
    case v1::Layer::kLatent:
      return CheckLatent(context, place);
    case v1::Layer::kActivityPenalty:
      return CheckActivityPenalty(context, place);
    case v1::Layer::KIND_NOT_SET:
      context.errors.Add(place.at,
                         "does not say what it is: give one of dense, conv, lstm, attention, ... "
                         "(docs/reference/pipeline.md lists all)");
      return {};
    default:
      return NotBuilt(context, place);
  }
}

}  // namespace beamline::pipeline::validation
