// Layers of images and sequences: convolution, pooling, group norm.
#include "pipeline/layers.h"

namespace beamline::pipeline {
namespace {

using engine::LayerKind;
using engine::LayerSpec;

static_assert(static_cast<int>(engine::Reduction::kMean) == v1::GlobalPool::KIND_MEAN - 1);
static_assert(static_cast<int>(engine::Reduction::kMax) == v1::GlobalPool::KIND_MAX - 1);
static_assert(static_cast<int>(engine::Reduction::kSum) == v1::GlobalPool::KIND_SUM - 1);
static_assert(static_cast<int>(engine::Reduction::kLast) == v1::GlobalPool::KIND_LAST - 1);

constexpr int kDefaultGroups = 32;  // of group norm

void SetConv(const v1::Conv& conv, LayerKind kind, LayerSpec* spec) {
  spec->kind = kind;
  spec->units = conv.units();
  spec->kernel.assign(conv.kernel().begin(), conv.kernel().end());
  spec->stride.assign(conv.stride().begin(), conv.stride().end());
  spec->padding = ToPadding(conv.padding());
  spec->pad.assign(conv.pad().begin(), conv.pad().end());
  spec->dilation.assign(conv.dilation().begin(), conv.dilation().end());
  spec->groups = conv.groups() == 0 ? 1 : conv.groups();
  spec->activation = ToActivation(conv.activation());
  spec->bias = !conv.no_bias();
  spec->initializer = static_cast<engine::Initializer>(conv.initializer());
}

void SetPool(const v1::Pool& pool, LayerKind kind, LayerSpec* spec) {
  spec->kind = kind;
  spec->kernel.assign(pool.size().begin(), pool.size().end());
  spec->stride.assign(pool.stride().begin(), pool.stride().end());
  spec->padding = ToPadding(pool.padding());
}

}  // namespace

engine::Padding ToPadding(v1::Padding padding) {
  return padding == v1::PADDING_SAME ? engine::Padding::kSame : engine::Padding::kValid;
}

bool SetConvLayer(const v1::Layer& layer, LayerSpec* spec) {
  switch (layer.kind_case()) {
    case v1::Layer::kConv:
      SetConv(layer.conv(), LayerKind::kConv, spec);
      return true;
    case v1::Layer::kConvTranspose:
      SetConv(layer.conv_transpose(), LayerKind::kConvTranspose, spec);
      return true;
    case v1::Layer::kMaxPool:
      SetPool(layer.max_pool(), LayerKind::kMaxPool, spec);
      return true;
    case v1::Layer::kAveragePool:
      SetPool(layer.average_pool(), LayerKind::kAveragePool, spec);
      return true;
    case v1::Layer::kGlobalPool:
      spec->kind = LayerKind::kGlobalPool;
      if (layer.global_pool().kind() != v1::GlobalPool::KIND_UNSPECIFIED) {
        spec->reduction = static_cast<engine::Reduction>(layer.global_pool().kind() - 1);
      }
      return true;
    case v1::Layer::kGroupNorm:
      spec->kind = LayerKind::kGroupNorm;
      spec->groups =
          layer.group_norm().groups() == 0 ? kDefaultGroups : layer.group_norm().groups();
      spec->epsilon = Or(layer.group_norm().epsilon(), 1e-5);
      return true;
    default:
      return false;
  }
}

}  // namespace beamline::pipeline
