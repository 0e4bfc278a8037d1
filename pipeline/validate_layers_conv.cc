// The numbers of layers of images and sequences. Whether windows fit the images, the graph says.
#include "absl/strings/str_cat.h"
#include "pipeline/validate_internal.h"

namespace beamline::pipeline::validation {
namespace {

constexpr double kMaxChannels = 65536;
constexpr double kMaxExtent = 65536;

LayerFacts CheckConv(Context& context, const LayerPlace& place, const v1::Conv& conv,
                     const std::string& name) {
  const std::string at = place.at + "." + name;
  CheckRange(context, at + ".units", conv.units(), 1, kMaxChannels, false);
  CheckExtent(context, at + ".kernel", conv.kernel());
  CheckPerAxis(context, at + ".stride", conv.stride(), 1);
  CheckPerAxis(context, at + ".dilation", conv.dilation(), 1);
  CheckPerAxis(context, at + ".pad", conv.pad(), 0);
  CheckRange(context, at + ".groups", conv.groups(), 1, kMaxChannels);
  if (!conv.pad().empty() && conv.padding() != v1::PADDING_UNSPECIFIED) {
    context.errors.Add(at + ".pad", "only one of pad and padding may be given");
  }
  const int64_t channels = place.inputs[0];
  const int64_t units = conv.units();
  const int64_t groups = conv.groups() > 0 ? conv.groups() : 1;
  if (units > 0 && (units % groups != 0 || channels % groups != 0)) {
    context.errors.Add(at + ".groups",
                       absl::StrCat("must divide the channels of the input (",
                                    channels == 0 ? "not known" : absl::StrCat(channels),
                                    ") and units (", units, "), which ", groups, " does not"));
  }
  double taps = 1;
  for (const int32_t extent : conv.kernel()) taps *= extent;
  const double seen = static_cast<double>(channels) / static_cast<double>(groups);
  return {units, static_cast<double>(units) * (taps * seen + (conv.no_bias() ? 0 : 1))};
}

LayerFacts CheckPool(Context& context, const LayerPlace& place, const v1::Pool& pool,
                     const std::string& name) {
  const std::string at = place.at + "." + name;
  CheckExtent(context, at + ".size", pool.size());
  CheckPerAxis(context, at + ".stride", pool.stride(), 1);
  return {place.inputs[0]};
}

LayerFacts CheckGroupNorm(Context& context, const LayerPlace& place) {
  const v1::GroupNorm& norm = place.layer.group_norm();
  const std::string at = place.at + ".group_norm";
  CheckRange(context, at + ".groups", norm.groups(), 1, kMaxChannels);
  CheckRange(context, at + ".epsilon", norm.epsilon(), 1e-12, 1);
  const int64_t groups = norm.groups() > 0 ? norm.groups() : 32;
  if (place.inputs[0] % groups != 0) {
    context.errors.Add(at + ".groups", absl::StrCat("must divide the ", place.inputs[0],
                                                    " channels, which ", groups, " does not"));
  }
  return {place.inputs[0], 2.0 * static_cast<double>(place.inputs[0])};
}

}  // namespace

void CheckPerAxis(Context& context, const std::string& path,
                  const google::protobuf::RepeatedField<int32_t>& numbers, double least) {
  if (numbers.size() > 2) {
    context.errors.Add(path, "has one number for all axes, or one per axis: at most 2");
  }
  for (int i = 0; i < numbers.size(); ++i) {
    CheckRange(context, absl::StrCat(path, ".", i), numbers[i], least, kMaxExtent, false);
  }
}

void CheckExtent(Context& context, const std::string& path,
                 const google::protobuf::RepeatedField<int32_t>& numbers) {
  if (numbers.empty()) {
    context.errors.Add(path, "is missing: one number for all axes, or one per axis");
  }
  CheckPerAxis(context, path, numbers, 1);
}

LayerFacts CheckConvLayer(Context& context, const LayerPlace& place) {
  const v1::Layer& layer = place.layer;
  switch (layer.kind_case()) {
    case v1::Layer::kConv:
      return CheckConv(context, place, layer.conv(), "conv");
    case v1::Layer::kConvTranspose:
      return CheckConv(context, place, layer.conv_transpose(), "conv_transpose");
    case v1::Layer::kMaxPool:
      return CheckPool(context, place, layer.max_pool(), "max_pool");
    case v1::Layer::kAveragePool:
      return CheckPool(context, place, layer.average_pool(), "average_pool");
    case v1::Layer::kGroupNorm:
      return CheckGroupNorm(context, place);
    default:
      return {place.inputs[0]};
  }
}

}  // namespace beamline::pipeline::validation
