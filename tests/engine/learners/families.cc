// Small models of each family.
#include "tests/engine/learners/families.h"

#include <string>
#include <utility>

#include "engine/core/philox.h"
#include "tests/engine/learners/graph_data.h"
#include "tests/engine/learners/toy.h"
#include "tests/engine/learners/transformer.h"

namespace beamline::engine::testing {
namespace {

constexpr int64_t kSide = 12;

// Images of kSide x kSide shares in [0, 1), of two classes by their brightness.
MemoryBatchSource Images(bool labelled) {
  MemoryBatch batch;
  batch.rows = 150;
  batch.layout.features = kSide * kSide;
  batch.layout.classes = labelled ? 2 : 0;
  const Philox random(5, 5);
  for (int64_t i = 0; i < batch.rows; ++i) {
    for (int64_t j = 0; j < kSide * kSide; ++j) {
      const auto at = static_cast<uint64_t>(i * kSide * kSide + j);
      batch.features.push_back(random.Uniform(at) * (i % 2 == 0 ? 0.5f : 1.0f));
    }
    if (labelled) batch.labels.push_back(static_cast<int32_t>(i % 2));
  }
  return MemoryBatchSource(std::move(batch));
}

LayerSpec Layer(LayerKind kind, int64_t units, Activation activation = Activation::kLinear) {
  LayerSpec layer;
  layer.kind = kind;
  layer.units = units;
  layer.activation = activation;
  return layer;
}

LayerSpec Window(LayerKind kind, int64_t units, int64_t kernel, int64_t stride) {
  LayerSpec layer = Layer(kind, units, Activation::kRelu);
  layer.kernel = {kernel};
  layer.stride = {stride};
  layer.padding = Padding::kSame;
  return layer;
}

NetworkSpec Base(std::vector<LayerSpec> layers) {
  NetworkSpec spec;
  spec.layers = std::move(layers);
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.batch_size = 64;
  spec.epochs = 2;
  spec.seed = 9;
  return spec;
}

// Two cells deep and both ways, with a GRU between; clipped gradients.
NetworkSpec Recurrent() {
  LayerSpec sequence = Layer(LayerKind::kReshape, 0);
  sequence.shape = {kSide, kSide};
  LayerSpec first = Layer(LayerKind::kLstm, 20);
  first.sequence = true;
  first.bidirectional = true;
  LayerSpec second = Layer(LayerKind::kGru, 12);
  second.sequence = true;
  LayerSpec third = Layer(LayerKind::kRnn, 6);
  third.bidirectional = true;
  NetworkSpec spec = Base({sequence, first, second, third, Layer(LayerKind::kDense, 0)});
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.clip_norm = 1;
  return spec;
}

NetworkSpec Transformer() {
  NetworkSpec spec = MakeLanguageModel({});
  spec.batch_size = 16;
  spec.epochs = 2;
  return spec;
}

NetworkSpec GraphAttention() {
  LayerSpec attention = Layer(LayerKind::kGraphConv, 8, Activation::kElu);
  attention.graph_conv = GraphConvKind::kGat;
  attention.heads = 2;
  NetworkSpec spec =
      Base({attention, Layer(LayerKind::kGraphConv, 2), Layer(LayerKind::kGather, 0)});
  spec.loss.kind = LossKind::kCrossEntropy;
  return spec;
}

}  // namespace

MemoryBatchSource LabelledImages() { return Images(true); }
MemoryBatchSource PlainImages() { return Images(false); }

// Large enough that loops are shared between threads.
NetworkSpec Convolutional() {
  LayerSpec image = Layer(LayerKind::kReshape, 0);
  image.shape = {kSide, kSide, 1};
  LayerSpec groups = Layer(LayerKind::kGroupNorm, 0);
  groups.groups = 4;
  NetworkSpec spec =
      Base({image, Window(LayerKind::kConv, 24, 3, 1), Layer(LayerKind::kBatchNorm, 0),
            Window(LayerKind::kMaxPool, 0, 2, 2), Window(LayerKind::kConv, 24, 3, 2), groups,
            Window(LayerKind::kConvTranspose, 16, 3, 2), Window(LayerKind::kAveragePool, 0, 2, 2),
            Layer(LayerKind::kGlobalPool, 0), Layer(LayerKind::kDense, 0)});
  spec.loss.kind = LossKind::kCrossEntropy;
  return spec;
}

NetworkSpec Capsules() {
  LayerSpec image = Layer(LayerKind::kReshape, 0);
  image.shape = {kSide, kSide, 1};
  LayerSpec primary = Window(LayerKind::kPrimaryCapsules, 0, 3, 3);
  primary.activation = Activation::kLinear;
  primary.capsules = 3;
  primary.dimension = 8;
  LayerSpec middle = Layer(LayerKind::kCapsules, 0);
  middle.capsules = 5;
  middle.dimension = 9;
  LayerSpec classes = middle;
  classes.capsules = 2;
  classes.dimension = 16;
  classes.iterations = 2;
  NetworkSpec spec = Base({image, Window(LayerKind::kConv, 8, 3, 1), primary, middle, classes,
                           Layer(LayerKind::kCapsuleLength, 0)});
  spec.loss.kind = LossKind::kMargin;
  return spec;
}

NetworkSpec Variational() {
  LayerSpec noise = Layer(LayerKind::kNoise, 0);
  noise.deviation = 0.1;
  noise.rate = 0.2;
  LayerSpec penalty = Layer(LayerKind::kActivityPenalty, 0);
  penalty.sparsity_weight = 0.1;
  NetworkSpec spec =
      Base({noise, Layer(LayerKind::kDense, 200, Activation::kSigmoid), penalty,
            Layer(LayerKind::kDense, 16), Layer(LayerKind::kLatent, 0),
            Layer(LayerKind::kDense, 200, Activation::kRelu), Layer(LayerKind::kDense, 0)});
  spec.objective = Objective::kReconstruct;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  return spec;
}

NetworkSpec Memories() {
  LayerSpec turing = Layer(LayerKind::kMemory, 12);
  turing.slots = 9;
  turing.width = 5;
  turing.heads = 2;
  turing.sequence = true;
  LayerSpec differentiable = turing;
  differentiable.memory = MemoryKind::kDnc;
  differentiable.slots = 7;
  NetworkSpec spec = Base({turing, differentiable, Layer(LayerKind::kDense, 0)});
  spec.objective = Objective::kEachStep;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.batch_size = 16;
  spec.clip_norm = 1;
  return spec;
}

MemoryBatchSource LabelledSteps() {
  constexpr int64_t kSteps = 6;
  MemoryBatch batch;
  batch.rows = 40;
  BatchLayout& layout = batch.layout;
  layout.features = 2 * kSteps;
  layout.steps = layout.target_steps = kSteps;
  layout.has_lengths = layout.has_weights = true;
  layout.classes = 3;
  const Philox random(8, 8);
  for (int64_t i = 0; i < batch.rows; ++i) {
    batch.lengths.push_back(static_cast<int32_t>(2 + i % 5));
    for (int64_t step = 0; step < kSteps; ++step) {
      const auto at = static_cast<uint64_t>(i * kSteps + step);
      batch.features.push_back(random.Normal(2 * at));
      batch.features.push_back(random.Normal(2 * at + 1));
      batch.labels.push_back(static_cast<int32_t>(random.Below(1000 + at, 3)));
      batch.weights.push_back(1 + random.Uniform(2000 + at));
    }
  }
  return MemoryBatchSource(std::move(batch));
}

NetworkSpec Masked() {
  NetworkSpec spec = Transformer();
  for (LayerSpec& layer : spec.layers) layer.causal = false;
  spec.objective = Objective::kMasked;
  spec.masking.share = 0.3;
  return spec;
}

MemoryBatchSource FamilyTokens() { return TokenRows(40, 9, 11, 3); }

NetworkSpec Translator() {
  NetworkSpec spec = TranslationModel();
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.batch_size = 16;
  spec.epochs = 2;
  spec.seed = 9;
  return spec;
}

NetworkSpec RecurrentTranslator() {
  NetworkSpec spec = Translator();
  spec.layers.clear();
  for (const char* side : {kCodesInput, kTargetInput}) {
    const bool source = side == std::string(kCodesInput);
    LayerSpec& tokens = AddLayer(&spec, LayerKind::kEmbedding, source ? "source" : "told", {side});
    tokens.tokens = true;
    tokens.units = 8;
    tokens.categories = {source ? 11 : 9};
    LayerSpec& reader = AddLayer(&spec, LayerKind::kGru, source ? "reader" : "writer");
    reader.units = source ? 4 : 8;
    reader.sequence = true;
    reader.bidirectional = source;
  }
  AddLayer(&spec, LayerKind::kAttention, "look", {"writer", "reader"});
  AddLayer(&spec, LayerKind::kConcat, "both", {"writer", "look"});
  AddLayer(&spec, LayerKind::kDense, "head");
  return spec;
}

MemoryBatchSource FamilyTexts() {
  constexpr int64_t kSource = 7, kTarget = 5;
  MemoryBatch batch;
  batch.rows = 40;
  batch.layout.code_columns = kSource + kTarget;
  batch.layout.target_codes = kTarget;
  const Philox random(6, 6);
  for (int64_t i = 0; i < batch.rows; ++i) {
    const int64_t source = 2 + i % (kSource - 1), target = i % kTarget;
    for (int64_t j = 0; j < kSource + kTarget; ++j) {
      const auto at = static_cast<uint64_t>(i * (kSource + kTarget) + j);
      const int64_t step = j - kSource;
      const bool read = j < source, told = step >= 0 && step < target;
      batch.codes.push_back(read             ? static_cast<int32_t>(random.Below(at, 11))
                            : told           ? 2 + static_cast<int32_t>(random.Below(at, 7))
                            : step == target ? kBoundaryCode
                                             : -1);
    }
  }
  return MemoryBatchSource(std::move(batch));
}

std::vector<Family> Families() {
  return {
      {"dense", RichNetwork, [] { return Circle(100, 1); }},
      {"convolutional", Convolutional, LabelledImages},
      {"variational", Variational, PlainImages},
      {"capsules", Capsules, LabelledImages},
      {"recurrent", Recurrent, LabelledImages},
      {"memory", Memories, LabelledSteps},
      {"masked", Masked, FamilyTokens},
      {"translation", Translator, FamilyTexts},
      {"recurrent_translation", RecurrentTranslator, FamilyTexts},
      {"transformer", Transformer, [] { return TokenRows(40, 9, 11, 3); }},
      {"graph", GraphAttention,
       [] {
         const NodeTask task = TwoCommunities();
         return RowsOf(task, task.train);
       }},
  };
}

}  // namespace beamline::engine::testing
