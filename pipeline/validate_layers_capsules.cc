// The numbers of layers of capsules. Whether they are wired to capsules, the graph says.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr double kMaxCapsules = 65536;
constexpr double kMaxDimension = 1024;
constexpr double kMaxIterations = 100;

LayerFacts CheckPrimary(Context& context, const LayerPlace& place) {
  const v1::PrimaryCapsules& capsules = place.layer.primary_capsules();
  const std::string at = place.at + ".primary_capsules";
  CheckRange(context, at + ".count", capsules.count(), 1, kMaxCapsules, false);
  CheckRange(context, at + ".dimension", capsules.dimension(), 1, kMaxDimension, false);
  CheckExtent(context, at + ".kernel", capsules.kernel());
  CheckPerAxis(context, at + ".stride", capsules.stride(), 1);
  double taps = 1;
  for (const int32_t extent : capsules.kernel()) taps *= extent;
  const double units = static_cast<double>(capsules.count()) * capsules.dimension();
  return {std::max(capsules.dimension(), 0),
          units * (taps * static_cast<double>(place.inputs[0]) + 1)};
}

LayerFacts CheckRouted(Context& context, const LayerPlace& place) {
  const v1::Capsules& capsules = place.layer.capsules();
  const std::string at = place.at + ".capsules";
  CheckRange(context, at + ".count", capsules.count(), 1, kMaxCapsules, false);
  CheckRange(context, at + ".dimension", capsules.dimension(), 1, kMaxDimension, false);
  CheckRange(context, at + ".iterations", capsules.iterations(), 1, kMaxIterations);
  LayerFacts facts;
  facts.width = std::max(capsules.dimension(), 0);
  facts.capsules = std::max(capsules.count(), 0);
  facts.parameters = static_cast<double>(place.capsules * place.inputs[0]) *
                     static_cast<double>(facts.capsules * facts.width);
  return facts;
}

}  // namespace

LayerFacts CheckCapsuleLayer(Context& context, const LayerPlace& place) {
  if (place.layer.has_primary_capsules()) return CheckPrimary(context, place);
  if (place.layer.has_capsules()) return CheckRouted(context, place);
  return {place.capsules};
}

}  // namespace beamline::pipeline::validation
