#include "tests/engine/learners/transformer.h"

#include "engine/core/philox.h"

namespace beamline::engine::testing {

LayerSpec& AddLayer(NetworkSpec* spec, LayerKind kind, const std::string& name,
                    const std::vector<std::string>& inputs) {
  LayerSpec& layer = spec->layers.emplace_back();
  layer.kind = kind;
  layer.name = name;
  layer.inputs = inputs;
  return layer;
}

void AddBlock(NetworkSpec* spec, const std::string& name, const std::string& from, int64_t width,
              int64_t hidden, const LayerSpec& attention) {
  AddLayer(spec, LayerKind::kLayerNorm, name + "_norm1", {from});
  LayerSpec& attend = spec->layers.emplace_back(attention);
  attend.kind = LayerKind::kAttention;
  attend.name = name + "_attention";
  AddLayer(spec, LayerKind::kAdd, name + "_sum1", {from, name + "_attention"});
  AddLayer(spec, LayerKind::kLayerNorm, name + "_norm2");
  LayerSpec& first = AddLayer(spec, LayerKind::kDense, name + "_fc1");
  first.units = hidden;
  first.activation = Activation::kGelu;
  AddLayer(spec, LayerKind::kDense, name + "_fc2").units = width;
  AddLayer(spec, LayerKind::kAdd, name + "_sum2", {name + "_sum1", name + "_fc2"});
}

NetworkSpec MakeLanguageModel(const LanguageModel& model) {
  NetworkSpec spec;
  LayerSpec& tokens = AddLayer(&spec, LayerKind::kEmbedding, "tokens");
  tokens.tokens = true;
  tokens.units = model.width;
  tokens.categories = {model.vocabulary};
  std::string from = "tokens";
  if (!model.rotary) {
    AddLayer(&spec, LayerKind::kPositions, "positions");
    from = "positions";
  }
  LayerSpec attention;
  attention.heads = model.heads;
  attention.causal = true;
  attention.rotary = model.rotary;
  for (int64_t i = 0; i < model.blocks; ++i) {
    const std::string name = "block" + std::to_string(i);
    AddBlock(&spec, name, from, model.width, model.hidden, attention);
    from = name + "_sum2";
  }
  AddLayer(&spec, LayerKind::kLayerNorm, "norm");
  AddLayer(&spec, LayerKind::kDense, "head");
  spec.objective = Objective::kNextToken;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdamW;
  spec.optimizer.learning_rate = 0.01;
  spec.optimizer.weight_decay = 0.1;
  spec.batch_size = 8;
  spec.epochs = 3;
  spec.seed = 7;
  return spec;
}

NetworkSpec EncoderDecoder() {
  NetworkSpec spec;
  LayerSpec& tokens = AddLayer(&spec, LayerKind::kEmbedding, "tokens");
  tokens.tokens = true;
  tokens.units = 8;
  tokens.categories = {11};
  AddLayer(&spec, LayerKind::kPositions, "positions").positions = PositionKind::kSinusoidal;
  LayerSpec attention;
  attention.heads = 2;
  attention.mask_padding = true;
  attention.bias = false;
  AddBlock(&spec, "encoder", "positions", 8, 16, attention);
  AddLayer(&spec, LayerKind::kReshape, "steps", {"features"}).shape = {3, 4};
  AddLayer(&spec, LayerKind::kDense, "wide").units = 8;
  attention.rotary = true;
  attention.inputs = {"decoder_norm1", "encoder_sum2"};
  AddBlock(&spec, "decoder", "wide", 8, 16, attention);
  AddLayer(&spec, LayerKind::kReshape, "flat");
  LayerSpec& first = AddLayer(&spec, LayerKind::kSlice, "first");
  first.begin = 2;
  first.units = 8;
  AddLayer(&spec, LayerKind::kDense, "head");
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.batch_size = 8;
  spec.epochs = 2;
  return spec;
}

NetworkSpec TranslationModel() {
  NetworkSpec spec;
  for (const std::string name : {"source", "told"}) {
    const bool source = name == "source";
    LayerSpec& tokens =
        AddLayer(&spec, LayerKind::kEmbedding, name, {source ? kCodesInput : kTargetInput});
    tokens.tokens = true;
    tokens.units = 8;
    tokens.categories = {source ? 11 : 9};
    AddLayer(&spec, LayerKind::kPositions, name + "_positions");
  }
  LayerSpec attention;
  attention.heads = 2;
  AddBlock(&spec, "encoder", "source_positions", 8, 16, attention);
  attention.causal = true;
  AddBlock(&spec, "decoder", "told_positions", 8, 16, attention);
  attention.causal = false;
  attention.inputs = {"cross_norm1", "encoder_sum2"};
  AddBlock(&spec, "cross", "decoder_sum2", 8, 16, attention);
  AddLayer(&spec, LayerKind::kLayerNorm, "norm");
  AddLayer(&spec, LayerKind::kDense, "head");
  spec.objective = Objective::kTranslate;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.loss.label_smoothing = 0.1;
  return spec;
}

MemoryBatchSource TokenRows(int64_t rows, int64_t columns, int64_t vocabulary, uint64_t seed,
                            bool padding) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.code_columns = columns;
  const Philox random(seed, 2);
  const auto size = static_cast<uint64_t>(vocabulary);
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(i * (columns + 1));
    int64_t token = random.Below(at, size);
    const int64_t length = padding && i % 3 == 2 ? 1 + i % columns : columns;
    for (int64_t j = 0; j < columns; ++j) {
      batch.codes.push_back(j < length ? static_cast<int32_t>(token) : -1);
      const bool noise = random.Below(at + static_cast<uint64_t>(j) + 1, 10) == 0;
      token = (3 * token + (noise ? 5 : 1)) % vocabulary;
    }
  }
  return MemoryBatchSource(std::move(batch));
}

}  // namespace beamline::engine::testing
