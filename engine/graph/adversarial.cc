// The builder methods of what adversarial training needs.
#include <limits>

#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {

Value Graph::Uniform(const std::string& name, Value scale, const Shape& to) {
  if (shape(scale) != Shape()) Fail("layer \"", name, "\": its scale must be a single number");
  if (to.NumElements() > std::numeric_limits<uint32_t>::max()) {
    Fail("layer \"", name, "\" has more than 2^32 elements: use a smaller batch");
  }
  Attributes attributes;
  attributes.stream = dropouts_++;
  return Append(OpKind::kUniform, name, {scale}, {to}, attributes).outputs[0];
}

Value Graph::Interpolate(const std::string& name, Value a, Value b, Value share) {
  if (shape(a) != shape(b) || shape(a).rank() != 2) {
    Fail("layer \"", name, "\" mixes rows [rows, numbers] of one shape but gets ", shape(a),
         " and ", shape(b));
  }
  RequireVector(name, "share", share, shape(a).Rows());
  return Append(OpKind::kInterpolate, name, {a, b, share}, {shape(a)}).outputs[0];
}

Value Graph::GradientPenalty(const std::string& name, Value g) {
  if (shape(g).rank() != 2) {
    Fail("layer \"", name, "\" takes gradients [rows, numbers] but gets ", shape(g));
  }
  return Append(OpKind::kGradientPenalty, name, {g}, {Shape(), Shape({shape(g).Rows()})})
      .outputs[0];
}

}  // namespace beamline::engine
