// The network that a definition with objective translate makes is the one whose ten training steps
// PyTorch recorded (tests/engine/parity/make_transformer_fixture.py).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipeline/network.h"
#include "pipeline/yaml.h"
#include "tests/engine/parity/recording.h"

namespace beamline::pipeline {
namespace {

constexpr char kDefinition[] = R"(
name: translator
inputs: {texts: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: texts, objective: translate, features: [source], target: told}
      network:
        layers:
          - {name: source, embedding: {dimension: 8, tokens: true}}
          - {name: source_positions, positions: {}}
          - {name: encoder_norm1, layer_norm: {}}
          - {name: encoder_attention, attention: {heads: 2}}
          - {name: encoder_sum1, inputs: [source_positions, encoder_attention], add: {}}
          - {name: encoder_norm2, layer_norm: {}}
          - {name: encoder_fc1, dense: {units: 16, activation: gelu}}
          - {name: encoder_fc2, dense: {units: 8}}
          - {name: encoder_sum2, inputs: [encoder_sum1, encoder_fc2], add: {}}
          - {name: told, inputs: [target], embedding: {dimension: 8, tokens: true}}
          - {name: told_positions, positions: {}}
          - {name: decoder_norm1, layer_norm: {}}
          - {name: decoder_attention, attention: {heads: 2, causal: true}}
          - {name: decoder_sum1, inputs: [told_positions, decoder_attention], add: {}}
          - {name: decoder_norm2, layer_norm: {}}
          - {name: decoder_fc1, dense: {units: 16, activation: gelu}}
          - {name: decoder_fc2, dense: {units: 8}}
          - {name: decoder_sum2, inputs: [decoder_sum1, decoder_fc2], add: {}}
          - {name: cross_norm1, layer_norm: {}}
          - {name: cross_attention, inputs: [cross_norm1, encoder_sum2], attention: {heads: 2}}
          - {name: cross_sum1, inputs: [decoder_sum2, cross_attention], add: {}}
          - {name: cross_norm2, layer_norm: {}}
          - {name: cross_fc1, dense: {units: 16, activation: gelu}}
          - {name: cross_fc2, dense: {units: 8}}
          - {name: cross_sum2, inputs: [cross_sum1, cross_fc2], add: {}}
          - {name: norm, layer_norm: {}}
          - {name: head, dense: {}}
        loss: {cross_entropy: {label_smoothing: 0.1}}
        optimizer: {adamw: {learning_rate: 0.01, weight_decay: 0.1, epsilon: 1e-5}}
)";

TEST(TranslationParityTest, ADefinitionFollowsPyTorchForTenSteps) {
  const ParsedDefinition parsed = ParseDefinition(kDefinition);
  ASSERT_TRUE(parsed.violations.empty());
  NetworkFacts facts;
  facts.code_sizes = {11, 9};
  facts.source_steps = 5;
  facts.target_steps = 4;
  const v1::NetworkLearner network = Complete(parsed.definition.steps(0).train().network(), facts);
  engine::NetworkSpec spec = ToNetworkSpec(network, facts);
  spec.backend = engine::testing::ParityBackend();
  engine::MemoryBatch batch;
  batch.rows = 24;
  batch.layout = ToLayout(network, facts, false);
  const auto fixture = engine::testing::ReadFixture("transformer_fixture.txt");
  const engine::testing::Recording& recording = fixture.at("translator");
  const std::vector<float>& codes = recording.at("codes");
  batch.codes.assign(codes.begin(), codes.end());
  const engine::MemoryBatchSource source(std::move(batch));
  engine::testing::ExpectTenSteps(recording, spec, source, 6, 46);
}

}  // namespace
}  // namespace beamline::pipeline
