// Layers of a definition as the engine's.
#pragma once

#include "engine/nn/network_spec.h"
#include "pipeline/network.h"

namespace beamline::pipeline {

// `value`, or `fallback` where the definition leaves it out.
inline double Or(double value, double fallback) { return value == 0 ? fallback : value; }

engine::Activation ToActivation(v1::Activation activation);
engine::Padding ToPadding(v1::Padding padding);

// Of convolutions, pools and group norm: fills in all but name and inputs. False, and `spec` is
// unchanged, if the layer is none of them.
bool SetConvLayer(const v1::Layer& layer, engine::LayerSpec* spec);

// The same for attention, positions and slices.
bool SetAttentionLayer(const v1::Layer& layer, engine::LayerSpec* spec);

// The same for layers of graphs.
bool SetGraphLayer(const v1::Layer& layer, engine::LayerSpec* spec);

// The same for capsules.
bool SetCapsuleLayer(const v1::Layer& layer, engine::LayerSpec* spec);

// Of a layer that Complete() gave its name and units.
engine::LayerSpec ToLayer(const v1::Layer& layer, const NetworkFacts& facts);

}  // namespace beamline::pipeline
