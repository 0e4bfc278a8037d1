#include "pipeline/plan/sample_networks.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/nn/network.h"
#include "pipeline/network.h"
#include "pipeline/yaml.h"

namespace beamline::pipeline {
namespace {

constexpr uint64_t kStream = 0x73616D706C65;

// A network as definitions write it, and what the data would decide about it.
struct Sketch {
  std::string_view name;
  std::string_view network;
  std::vector<std::string_view> widths = {""};  // in place of "$U"
  std::vector<int64_t> batches = {64};
  int64_t features = 0;
  int64_t classes = 0;
  int64_t steps = 0;
  int64_t vocabulary = 0;
  int64_t nodes = 0;
  bool lengths = false;
  bool reconstructs = false;
};

// Networks of tables and images.
std::vector<Sketch> PlainSketches() {
  return {
      {.name = "table",
       .network = "{layers: [dense: {units: $U, activation: relu}, dropout: {rate: 0.5}, "
                  "dense: {units: $U, activation: relu}, dense: {}], "
                  "optimizer: {adamw: {weight_decay: 0.01}}}",
       .widths = {"16", "128", "512"},
       .batches = {32, 256},
       .features = 28,
       .classes = 2},
      {.name = "wide table",
       .network = "{layers: [dense: {units: 100, activation: relu}, dense: {}], "
                  "optimizer: {adam: {}}}",
       .batches = {128},
       .features = 784,
       .classes = 10},
      {.name = "functions",
       .network = "{layers: [dense: {units: $U, activation: tanh}, "
                  "dense: {units: $U, activation: sigmoid}, dense: {units: $U, activation: gelu}, "
                  "dense: {units: $U, activation: silu}, dense: {units: $U, activation: elu}, "
                  "batch_norm: {}, activation: {function: relu}, layer_norm: {}, dense: {}], "
                  "optimizer: {sgd: {momentum: 0.9}}}",
       .widths = {"32", "192"},
       .batches = {64, 256},
       .features = 20},
      {.name = "images",
       .network = "{layers: [reshape: {shape: [28, 28, 1]}, "
                  "conv: {units: $U, kernel: [5], padding: same, activation: relu}, "
                  "max_pool: {size: [2]}, conv: {units: 32, kernel: [5], activation: relu}, "
                  "max_pool: {size: [2]}, reshape: {}, dense: {units: 128, activation: relu}, "
                  "dropout: {rate: 0.4}, dense: {}], optimizer: {adam: {}}}",
       .widths = {"6", "16"},
       .batches = {32, 128},
       .features = 784,
       .classes = 10},
      {.name = "residual",
       .network = "{layers: [reshape: {shape: [14, 14, 4]}, "
                  "conv: {units: $U, kernel: [3], padding: same, no_bias: true}, batch_norm: {}, "
                  "{name: stem, activation: {function: relu}}, "
                  "conv: {units: $U, kernel: [3], padding: same, no_bias: true}, batch_norm: {}, "
                  "activation: {function: relu}, "
                  "conv: {units: $U, kernel: [3], padding: same, no_bias: true}, "
                  "{name: second, batch_norm: {}}, {name: sum, add: {}, inputs: [second, stem]}, "
                  "{name: block, activation: {function: relu}}, "
                  "conv: {units: 64, kernel: [3], stride: [2], padding: same, no_bias: true}, "
                  "batch_norm: {}, activation: {function: relu}, "
                  "conv: {units: 64, kernel: [1], no_bias: true}, group_norm: {groups: 8}, "
                  "average_pool: {size: [2]}, global_pool: {}, dense: {}], "
                  "optimizer: {sgd: {momentum: 0.9}}}",
       .widths = {"16", "48"},
       .batches = {32},
       .features = 784,
       .classes = 10},
  };
}

// Networks of sequences, tokens and graphs, and those that reconstruct.
std::vector<Sketch> OtherSketches() {
  return {
      {.name = "lstm",
       .network = "{layers: [reshape: {shape: [28, 28]}, lstm: {units: $U}, dense: {}], "
                  "optimizer: {adam: {}}, clip_norm: 1}",
       .widths = {"32", "128"},
       .batches = {16, 128},
       .features = 784,
       .classes = 10},
      {.name = "gru",
       .network = "{layers: [gru: {units: $U, bidirectional: true, sequence: true}, "
                  "rnn: {units: $U}, dense: {}], optimizer: {adam: {}}}",
       .widths = {"24", "96"},
       .batches = {16, 64},
       .features = 12,
       .classes = 9,
       .steps = 24,
       .lengths = true},
      {.name = "attention",
       .network = "{layers: [reshape: {shape: [28, 28]}, dense: {units: 64}, "
                  "{name: embedded, positions: {}}, layer_norm: {}, attention: {heads: 4}, "
                  "{name: attended, inputs: [embedded, layer4], add: {}}, layer_norm: {}, "
                  "dense: {units: 128, activation: gelu}, dense: {units: 64}, "
                  "{name: block, inputs: [attended, layer8], add: {}}, global_pool: {}, dense: {}],"
                  " optimizer: {adam: {}}, clip_norm: 1}",
       .batches = {16, 128},
       .features = 784,
       .classes = 10},
      {.name = "tokens",
       .network = "{layers: [embedding: {dimension: $U, tokens: true}, {name: x, positions: {}}, "
                  "layer_norm: {}, {name: a, attention: {heads: 4, causal: true}}, "
                  "{name: y, add: {}, inputs: [x, a]}, layer_norm: {}, "
                  "dense: {units: 256, activation: gelu}, dense: {units: $U}, dense: {}], "
                  "optimizer: {adamw: {}}, clip_norm: 1}",
       .widths = {"64", "128"},
       .batches = {8},
       .steps = 96,
       .vocabulary = 66},
      {.name = "autoencoder",
       .network = "{layers: [dense: {units: 128, activation: relu}, dense: {units: 16}, "
                  "dense: {units: 128, activation: relu}, dense: {}], optimizer: {adam: {}}}",
       .batches = {32, 128},
       .features = 784,
       .reconstructs = true},
      {.name = "graph",
       .network = "{layers: [dropout: {rate: 0.5}, graph_conv: {units: $U, activation: relu}, "
                  "dropout: {rate: 0.5}, graph_conv: {}], optimizer: {adam: {}}}",
       .widths = {"16", "64"},
       .batches = {500},
       .features = 400,
       .classes = 7,
       .nodes = 1500},
  };
}

std::shared_ptr<const engine::NodeGraph> Ring(int64_t nodes, int64_t features) {
  constexpr int64_t kNeighbours = 2;  // on each side
  engine::NodeGraph graph;
  graph.nodes = nodes;
  for (int64_t node = 0; node < nodes; ++node) {
    for (int64_t step = 1; step <= kNeighbours; ++step) {
      const auto from = static_cast<int32_t>(node);
      const auto to = static_cast<int32_t>((node + step) % nodes);
      graph.sources.insert(graph.sources.end(), {from, to});
      graph.targets.insert(graph.targets.end(), {to, from});
    }
  }
  engine::Tensor values({nodes, features}, engine::DType::kFloat32);
  const engine::Philox random(0, kStream);
  uint64_t i = 0;
  for (float& value : values.values<float>()) value = random.Uniform(i++) < 0.05 ? 1.0F : 0.0F;
  graph.features = std::make_shared<const engine::Tensor>(std::move(values));
  return std::make_shared<const engine::NodeGraph>(std::move(graph));
}

v1::NetworkLearner Parse(std::string_view network, std::string_view width) {
  const std::string text = absl::StrReplaceAll(A(network), {{"$U", A(width)}});
  const ParsedDefinition parsed = ParseDefinition(
      absl::StrCat("{name: sample, steps: [{name: train, train: {network: ", text, "}}]}"));
  if (!parsed.violations.empty()) {
    engine::Fail("sample network: ", parsed.violations.front().field(), " ",
                 parsed.violations.front().description());
  }
  return parsed.definition.steps(0).train().network();
}

SampleNetwork Make(const Sketch& sketch, std::string_view width) {
  NetworkFacts facts;
  for (int64_t i = 0; i < sketch.classes; ++i) facts.classes.push_back(absl::StrCat(i));
  facts.class_rows.assign(facts.classes.size(), 1);
  facts.features = sketch.features;
  facts.steps = sketch.steps;
  facts.has_lengths = sketch.lengths;
  facts.reconstructs = sketch.reconstructs;
  facts.graph = sketch.nodes > 0;
  if (sketch.vocabulary > 0) {
    facts.next_token = true;
    facts.code_sizes = {sketch.vocabulary};
  }
  const v1::NetworkLearner network = Complete(Parse(sketch.network, width), facts);
  SampleNetwork sample;
  sample.name = absl::StrCat(A(sketch.name), width.empty() ? "" : " ", A(width));
  sample.spec = ToNetworkSpec(network, facts);
  sample.layout = ToLayout(network, facts, false);
  if (facts.graph) sample.layout.nodes = Ring(sketch.nodes, sketch.features);
  sample.batches = sketch.batches;
  return sample;
}

}  // namespace

std::vector<SampleNetwork> SampleNetworks() {
  std::vector<SampleNetwork> samples;
  for (const std::vector<Sketch>& sketches : {PlainSketches(), OtherSketches()}) {
    for (const Sketch& sketch : sketches) {
      for (const std::string_view width : sketch.widths) samples.push_back(Make(sketch, width));
    }
  }
  return samples;
}

engine::MemoryBatch SampleRows(const SampleNetwork& sample, int64_t rows) {
  const engine::BatchLayout& layout = sample.layout;
  const engine::Philox random(0, kStream);
  uint64_t drawn = 0;
  const auto number = [&] { return static_cast<float>(random.Uniform(drawn++)); };
  const auto below = [&](int64_t end) {
    return static_cast<int32_t>(random.Below(drawn++, static_cast<uint64_t>(end)));
  };
  engine::MemoryBatch batch;
  batch.rows = rows;
  batch.layout = layout;
  batch.features.resize(static_cast<size_t>(rows * layout.features));
  std::generate(batch.features.begin(), batch.features.end(), number);
  batch.codes.resize(static_cast<size_t>(rows * layout.code_columns));
  const int64_t codes =
      layout.nodes != nullptr ? layout.nodes->nodes : engine::Vocabulary(sample.spec);
  for (int32_t& code : batch.codes) code = below(codes);
  if (layout.classes > 0) {
    batch.labels.resize(static_cast<size_t>(rows * layout.Judged()));
    for (int32_t& label : batch.labels) label = below(layout.classes);
  }
  batch.targets.resize(static_cast<size_t>(rows * layout.targets * layout.Judged()));
  std::generate(batch.targets.begin(), batch.targets.end(), number);
  if (layout.has_lengths)
    batch.lengths.assign(static_cast<size_t>(rows), static_cast<int32_t>(layout.steps));
  return batch;
}

}  // namespace beamline::pipeline
