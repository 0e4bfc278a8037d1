#include "benchmarks/engine/transformer_workloads.h"

#include <string>
#include <utility>
#include <vector>

#include "engine/core/philox.h"

namespace beamline::engine::benchmark {
namespace {

constexpr int64_t kVocabulary = 1000;
constexpr int64_t kWidth = 256;

LayerSpec& Add(NetworkSpec* spec, LayerKind kind, const std::string& name,
               std::vector<std::string> inputs = {}) {
  LayerSpec& layer = spec->layers.emplace_back();
  layer.kind = kind;
  layer.name = name;
  layer.inputs = std::move(inputs);
  return layer;
}

// Returns the name of its output.
std::string AddBlock(NetworkSpec* spec, const std::string& name, const std::string& from) {
  Add(spec, LayerKind::kLayerNorm, name + "_norm1", {from});
  LayerSpec& attention = Add(spec, LayerKind::kAttention, name + "_attention");
  attention.heads = 8;
  attention.causal = true;
  Add(spec, LayerKind::kAdd, name + "_sum1", {from, name + "_attention"});
  Add(spec, LayerKind::kLayerNorm, name + "_norm2");
  LayerSpec& first = Add(spec, LayerKind::kDense, name + "_fc1");
  first.units = 4 * kWidth;
  first.activation = Activation::kGelu;
  Add(spec, LayerKind::kDense, name + "_fc2").units = kWidth;
  Add(spec, LayerKind::kAdd, name + "_sum2", {name + "_sum1", name + "_fc2"});
  return name + "_sum2";
}

}  // namespace

NetworkSpec CausalLanguageModel() {
  NetworkSpec spec;
  LayerSpec& tokens = Add(&spec, LayerKind::kEmbedding, "tokens");
  tokens.tokens = true;
  tokens.units = kWidth;
  tokens.categories = {kVocabulary};
  Add(&spec, LayerKind::kPositions, "positions");
  std::string from = "positions";
  for (int i = 0; i < 4; ++i) from = AddBlock(&spec, "block" + std::to_string(i), from);
  Add(&spec, LayerKind::kLayerNorm, "norm");
  Add(&spec, LayerKind::kDense, "head");
  spec.objective = Objective::kNextToken;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdamW;
  spec.optimizer.learning_rate = 3e-4;
  spec.optimizer.weight_decay = 0.01;
  spec.batch_size = 16;
  spec.epochs = 1'000'000;
  return spec;
}

MemoryBatch TokenRows(int64_t rows) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.code_columns = kLanguageModelSteps + 1;
  const Philox random(1, 3);
  uint64_t drawn = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t start = random.Below(drawn++, kVocabulary);
    for (int64_t j = 0; j <= kLanguageModelSteps; ++j) {
      const int64_t token = start + 7 * j + random.Below(drawn++, 3);
      batch.codes.push_back(static_cast<int32_t>(token % kVocabulary));
    }
  }
  return batch;
}

}  // namespace beamline::engine::benchmark
