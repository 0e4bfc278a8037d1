#include "pipeline/layers.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"
#include "engine/nn/network.h"

namespace beamline::pipeline {
namespace {

using engine::LayerKind;
using engine::LayerSpec;

// The enums of the two sides have the same members in the same order, but for UNSPECIFIED.
static_assert(static_cast<int>(engine::Activation::kLinear) == v1::ACTIVATION_LINEAR - 1);
static_assert(static_cast<int>(engine::Activation::kSelu) == v1::ACTIVATION_SELU - 1);
static_assert(static_cast<int>(engine::Activation::kTanh) == v1::ACTIVATION_TANH - 1);
static_assert(static_cast<int>(engine::Activation::kSoftmax) == v1::ACTIVATION_SOFTMAX - 1);
static_assert(static_cast<int>(engine::Initializer::kDefault) == v1::INITIALIZER_UNSPECIFIED);
static_assert(static_cast<int>(engine::Initializer::kLecunNormal) == v1::INITIALIZER_LECUN_NORMAL);
static_assert(static_cast<int>(engine::Initializer::kZeros) == v1::INITIALIZER_ZEROS);

void SetRecurrent(const v1::Recurrent& recurrent, LayerKind kind, LayerSpec* spec) {
  spec->kind = kind;
  spec->units = recurrent.units();
  spec->activation = ToActivation(recurrent.activation());
  spec->sequence = recurrent.sequence();
  spec->bidirectional = recurrent.bidirectional();
}

void SetMemory(const v1::Memory& memory, LayerSpec* spec) {
  const auto or_default = [](int32_t value, int64_t otherwise) {
    return value == 0 ? otherwise : int64_t{value};
  };
  spec->kind = LayerKind::kMemory;
  spec->memory =
      memory.kind() == v1::Memory::KIND_DNC ? engine::MemoryKind::kDnc : engine::MemoryKind::kNtm;
  spec->slots = or_default(memory.slots(), 128);
  spec->width = or_default(memory.width(), 20);
  spec->heads = or_default(memory.read_heads(), 1);
  spec->units = memory.units();
  spec->sequence = memory.sequence();
}

// Of recurrent layers and what turns sequences. False: the layer is none of them.
bool SetSequenceLayer(const v1::Layer& layer, LayerSpec* spec) {
  switch (layer.kind_case()) {
    case v1::Layer::kRnn:
      SetRecurrent(layer.rnn(), LayerKind::kRnn, spec);
      return true;
    case v1::Layer::kLstm:
      SetRecurrent(layer.lstm(), LayerKind::kLstm, spec);
      return true;
    case v1::Layer::kGru:
      SetRecurrent(layer.gru(), LayerKind::kGru, spec);
      return true;
    case v1::Layer::kMemory:
      SetMemory(layer.memory(), spec);
      return true;
    case v1::Layer::kRepeat:
      spec->kind = LayerKind::kRepeat;
      spec->steps = layer.repeat().steps();
      return true;
    case v1::Layer::kTranspose:
      spec->kind = LayerKind::kTranspose;
      return true;
    default:
      return false;
  }
}

// With `inputs` in place.
void SetEmbedding(const v1::Embedding& embedding, const NetworkFacts& facts, LayerSpec* spec) {
  spec->kind = LayerKind::kEmbedding;
  spec->units = embedding.dimension();
  spec->tokens = embedding.tokens();
  if (facts.translates()) {
    // Steps of a text share one table.
    if (facts.code_sizes.size() != 2) {
      engine::Fail("a translation has two vocabularies, but there are ", facts.code_sizes.size());
    }
    spec->categories = {facts.code_sizes[engine::TakesTarget(*spec) ? 1 : 0]};
  } else if (embedding.categories() > 0) {
    spec->categories = {embedding.categories()};
  } else {
    spec->categories = facts.code_sizes;
  }
  // One table for all columns: as large as the largest needs.
  if (spec->tokens && !spec->categories.empty()) {
    spec->categories = {*std::max_element(spec->categories.begin(), spec->categories.end())};
  }
}

// Noise, and layers that add to the loss. False: the layer is none of them.
bool FillPenalty(const v1::Layer& layer, LayerSpec* spec) {
  if (layer.has_noise()) {
    spec->kind = LayerKind::kNoise;
    spec->deviation = layer.noise().deviation();
    spec->rate = layer.noise().masking();
  } else if (layer.has_latent()) {
    spec->kind = LayerKind::kLatent;
    spec->beta = layer.latent().has_beta() ? layer.latent().beta() : 1;
  } else if (layer.has_activity_penalty()) {
    spec->kind = LayerKind::kActivityPenalty;
    spec->l1 = layer.activity_penalty().l1();
    spec->sparsity_weight = layer.activity_penalty().weight();
    spec->sparsity_target = Or(layer.activity_penalty().target(), 0.05);
  } else {
    return false;
  }
  return true;
}

}  // namespace

engine::Activation ToActivation(v1::Activation activation) {
  if (activation == v1::ACTIVATION_UNSPECIFIED) return engine::Activation::kLinear;
  return static_cast<engine::Activation>(activation - 1);
}

LayerSpec ToLayer(const v1::Layer& layer, const NetworkFacts& facts) {
  LayerSpec spec;
  spec.name = layer.name();
  spec.inputs.assign(layer.inputs().begin(), layer.inputs().end());
  switch (layer.kind_case()) {
    case v1::Layer::kDense:
    case v1::Layer::KIND_NOT_SET:
      spec.kind = LayerKind::kDense;
      spec.units = layer.dense().units();
      spec.activation = ToActivation(layer.dense().activation());
      spec.bias = !layer.dense().no_bias();
      spec.initializer = static_cast<engine::Initializer>(layer.dense().initializer());
      break;
    case v1::Layer::kActivation:
      spec.kind = LayerKind::kActivation;
      spec.activation = ToActivation(layer.activation().function());
      break;
    case v1::Layer::kDropout:
      spec.kind = LayerKind::kDropout;
      spec.rate = layer.dropout().rate();
      break;
    case v1::Layer::kBatchNorm:
      spec.kind = LayerKind::kBatchNorm;
      spec.momentum = Or(layer.batch_norm().momentum(), 0.9);
      spec.epsilon = Or(layer.batch_norm().epsilon(), 1e-5);
      break;
    case v1::Layer::kLayerNorm:
      spec.kind = LayerKind::kLayerNorm;
      spec.epsilon = Or(layer.layer_norm().epsilon(), 1e-5);
      break;
    case v1::Layer::kEmbedding:
      SetEmbedding(layer.embedding(), facts, &spec);
      break;
    case v1::Layer::kConcat:
      spec.kind = LayerKind::kConcat;
      break;
    case v1::Layer::kAdd:
      spec.kind = LayerKind::kAdd;
      break;
    case v1::Layer::kMultiply:
      spec.kind = LayerKind::kMultiply;
      break;
    case v1::Layer::kReshape:
      spec.kind = LayerKind::kReshape;
      spec.shape.assign(layer.reshape().shape().begin(), layer.reshape().shape().end());
      break;
    default:
      if (SetConvLayer(layer, &spec) || SetSequenceLayer(layer, &spec) ||
          SetAttentionLayer(layer, &spec) || SetGraphLayer(layer, &spec) ||
          SetCapsuleLayer(layer, &spec) || FillPenalty(layer, &spec)) {
        break;
      }
      engine::Fail("layer \"", layer.name(), "\" is of a kind that this version does not have yet");
  }
  return spec;
}

}  // namespace beamline::pipeline
