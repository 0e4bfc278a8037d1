// Layers of capsules.
#include "pipeline/layers.h"

namespace beamline::pipeline {

using engine::LayerKind;

bool SetCapsuleLayer(const v1::Layer& layer, engine::LayerSpec* spec) {
  switch (layer.kind_case()) {
    case v1::Layer::kPrimaryCapsules: {
      const v1::PrimaryCapsules& capsules = layer.primary_capsules();
      spec->kind = LayerKind::kPrimaryCapsules;
      spec->capsules = capsules.count();
      spec->dimension = capsules.dimension();
      spec->kernel.assign(capsules.kernel().begin(), capsules.kernel().end());
      spec->stride.assign(capsules.stride().begin(), capsules.stride().end());
      spec->padding = ToPadding(capsules.padding());
      return true;
    }
    case v1::Layer::kCapsules: {
      const v1::Capsules& capsules = layer.capsules();
      spec->kind = LayerKind::kCapsules;
      spec->capsules = capsules.count();
      spec->dimension = capsules.dimension();
      spec->iterations = capsules.iterations() > 0 ? capsules.iterations() : 3;
      spec->initializer = static_cast<engine::Initializer>(capsules.initializer());
      return true;
    }
    case v1::Layer::kCapsuleLength:
      spec->kind = LayerKind::kCapsuleLength;
      return true;
    default:
      return false;
  }
}

}  // namespace beamline::pipeline
