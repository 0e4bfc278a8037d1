#include "tests/engine/learners/toy.h"

#include <cstdlib>
#include <filesystem>

#include "engine/core/philox.h"

namespace beamline::engine::testing {

MemoryBatchSource Circle(int64_t rows, uint64_t seed) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 3;
  batch.layout.code_columns = 2;
  batch.layout.classes = 2;
  batch.layout.has_weights = true;
  const Philox random(seed, 1);
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(i);
    const float x = 2 * random.Uniform(4 * at) - 1;
    const float y = 2 * random.Uniform(4 * at + 1) - 1;
    batch.features.insert(batch.features.end(), {x, y, x * y});
    batch.codes.push_back(static_cast<int32_t>(random.Below(4 * at + 2, 3)));
    batch.codes.push_back(static_cast<int32_t>(i % 4) - 1);
    batch.labels.push_back(x * x + y * y < 0.6f ? 1 : 0);
    batch.weights.push_back(i % 17 == 0 ? -0.25f : 1.0f);
  }
  return MemoryBatchSource(std::move(batch));
}

NetworkSpec RichNetwork() {
  NetworkSpec spec;
  const auto layer = [&](LayerKind kind, const std::string& name) -> LayerSpec& {
    spec.layers.push_back({});
    spec.layers.back().kind = kind;
    spec.layers.back().name = name;
    return spec.layers.back();
  };
  LayerSpec& embedding = layer(LayerKind::kEmbedding, "embedding");
  embedding.units = 4;
  embedding.categories = {3};
  layer(LayerKind::kConcat, "joined").inputs = {"features", "embedding"};
  LayerSpec& first = layer(LayerKind::kDense, "first");
  first.units = 24;
  first.activation = Activation::kGelu;
  layer(LayerKind::kBatchNorm, "norm");
  layer(LayerKind::kDropout, "dropout").rate = 0.1;
  LayerSpec& second = layer(LayerKind::kDense, "second");
  second.units = 24;
  second.activation = Activation::kTanh;
  layer(LayerKind::kAdd, "residual").inputs = {"second", "norm"};
  layer(LayerKind::kLayerNorm, "layer_norm");
  layer(LayerKind::kDense, "head");
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  spec.loss.class_weights = {1, 1.5};
  spec.optimizer.kind = OptimizerKind::kAdamW;
  spec.optimizer.learning_rate = 0.01;
  spec.optimizer.weight_decay = 0.01;
  spec.schedule.kind = ScheduleKind::kCosine;
  spec.schedule.warmup_steps = 5;
  spec.clip_norm = 1;
  spec.batch_size = 32;
  spec.epochs = 3;
  spec.seed = 42;
  return spec;
}

std::unique_ptr<Learner> Make(const NetworkSpec& spec, const BatchSource& training,
                              const BatchSource* validation) {
  LearnerConfig config;
  config.network = &spec;
  config.layout = training.layout();
  config.training = &training;
  config.validation = validation;
  return MakeLearner("network", config);
}

StepReport Train(Learner* learner, int64_t steps) {
  StepReport report;
  for (int64_t i = 0; i < steps && learner->Step(&report); ++i) {
  }
  return report;
}

std::string WeightBytes(const Learner& learner) {
  std::string bytes;
  for (const NamedTensor& weight : learner.Weights()) {
    bytes += weight.name;
    bytes.append(reinterpret_cast<const char*>(weight.tensor.raw()),
                 static_cast<size_t>(weight.tensor.size_bytes()));
  }
  return bytes;
}

std::string DatasetFolder(const std::string& name) {
  std::vector<std::string> roots;
  if (const char* root = std::getenv("BEAMLINE_DATASETS")) roots.emplace_back(root);
  roots.push_back(std::string(BEAMLINE_SOURCE_DIR) + "/../shared/datasets");
  for (const std::string& root : roots) {
    if (std::filesystem::is_directory(root + "/" + name)) return root + "/" + name;
  }
  return "";
}

}  // namespace beamline::engine::testing
