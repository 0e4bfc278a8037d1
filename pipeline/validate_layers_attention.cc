// The numbers of attention, positions and slices, and the widths that they give.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr double kMaxWidth = 1'000'000;

LayerFacts CheckAttention(Context& context, const LayerPlace& place) {
  const v1::Attention& attention = place.layer.attention();
  const std::string at = place.at + ".attention";
  CheckRange(context, at + ".heads", attention.heads(), 1, 65536);
  CheckRange(context, at + ".units", attention.units(), 1, kMaxWidth);
  const int64_t units = attention.units() > 0 ? attention.units() : place.inputs[0];
  const int64_t heads = std::max(attention.heads(), 1);
  if (units > 0 && units % heads != 0) {
    context.errors.Add(at + ".heads",
                       absl::StrCat("are ", heads, ", which do not divide the ", units, " units"));
  } else if (attention.rotary() && units / heads % 2 != 0) {
    context.errors.Add(at + ".rotary", absl::StrCat("turns pairs of features, but a head has ",
                                                    units / heads, ": make it even"));
  }
  const auto width = static_cast<double>(units);
  const auto from = static_cast<double>(place.inputs[0]);
  const auto to = static_cast<double>(place.inputs.back());
  return {units, width * (from + 2 * to + width)};
}

LayerFacts CheckSlice(Context& context, const LayerPlace& place) {
  const v1::Slice& slice = place.layer.slice();
  const int64_t width = place.inputs[0];
  CheckRange(context, place.at + ".slice.begin", slice.begin(), 0, kMaxWidth);
  CheckRange(context, place.at + ".slice.size", slice.size(), 1, kMaxWidth, false);
  const int64_t end = int64_t{slice.begin()} + slice.size();
  if (width > 0 && end > width) {
    context.errors.Add(place.at + ".slice.size",
                       absl::StrCat("ends at feature ", end, ", but there are ", width));
  }
  return {slice.size()};
}

}  // namespace

LayerFacts CheckAttentionLayer(Context& context, const LayerPlace& place) {
  if (place.layer.has_attention()) return CheckAttention(context, place);
  if (place.layer.has_slice()) return CheckSlice(context, place);
  return {place.inputs[0]};
}

}  // namespace beamline::pipeline::validation
