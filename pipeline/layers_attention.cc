// Attention, and what goes with it.
#include "pipeline/layers.h"

namespace beamline::pipeline {

using engine::LayerKind;

bool SetAttentionLayer(const v1::Layer& layer, engine::LayerSpec* spec) {
  switch (layer.kind_case()) {
    case v1::Layer::kAttention:
      spec->kind = LayerKind::kAttention;
      spec->heads = layer.attention().heads() > 0 ? layer.attention().heads() : 1;
      spec->units = layer.attention().units();
      spec->causal = layer.attention().causal();
      spec->rotary = layer.attention().rotary();
      spec->mask_padding = layer.attention().mask_padding();
      spec->bias = !layer.attention().no_bias();
      return true;
    case v1::Layer::kPositions:
      spec->kind = LayerKind::kPositions;
      spec->positions = layer.positions().kind() == v1::Positions::KIND_SINUSOIDAL
                            ? engine::PositionKind::kSinusoidal
                            : engine::PositionKind::kLearned;
      return true;
    case v1::Layer::kSlice:
      spec->kind = LayerKind::kSlice;
      spec->begin = layer.slice().begin();
      spec->units = layer.slice().size();
      return true;
    default:
      return false;
  }
}

}  // namespace beamline::pipeline
