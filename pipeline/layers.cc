#include "pipeline/layers.h"

#include "engine/core/error.h"

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
      spec.kind = LayerKind::kEmbedding;
      spec.units = layer.embedding().dimension();
      if (layer.embedding().categories() > 0) {
        spec.categories = {layer.embedding().categories()};
      } else {
        spec.categories = facts.code_sizes;
      }
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
      if (SetConvLayer(layer, &spec)) break;
      engine::Fail("layer \"", layer.name(), "\" is of a kind that this version does not have yet");
  }
  return spec;
}

}  // namespace beamline::pipeline
