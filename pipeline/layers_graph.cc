// Layers of graphs.
#include "pipeline/layers.h"

namespace beamline::pipeline {

using engine::LayerKind;

static_assert(static_cast<int>(engine::GraphConvKind::kGcn) == v1::GraphConv::KIND_GCN - 1);
static_assert(static_cast<int>(engine::GraphConvKind::kSage) == v1::GraphConv::KIND_SAGE - 1);
static_assert(static_cast<int>(engine::GraphConvKind::kGat) == v1::GraphConv::KIND_GAT - 1);
static_assert(static_cast<int>(engine::GraphConvKind::kGin) == v1::GraphConv::KIND_GIN - 1);

static_assert(static_cast<int>(engine::PairKind::kDot) == v1::NodePair::KIND_DOT - 1);
static_assert(static_cast<int>(engine::PairKind::kProduct) == v1::NodePair::KIND_PRODUCT - 1);
static_assert(static_cast<int>(engine::PairKind::kConcat) == v1::NodePair::KIND_CONCAT - 1);

bool SetGraphLayer(const v1::Layer& layer, engine::LayerSpec* spec) {
  if (layer.has_graph_conv()) {
    const v1::GraphConv& conv = layer.graph_conv();
    spec->kind = LayerKind::kGraphConv;
    if (conv.kind() != v1::GraphConv::KIND_UNSPECIFIED) {
      spec->graph_conv = static_cast<engine::GraphConvKind>(conv.kind() - 1);
    }
    spec->units = conv.units();
    spec->activation = ToActivation(conv.activation());
    spec->heads = conv.heads() > 0 ? conv.heads() : 1;
    spec->rate = conv.dropout();
    spec->bias = !conv.no_bias();
    spec->initializer = static_cast<engine::Initializer>(conv.initializer());
    return true;
  }
  if (layer.has_pair()) {
    spec->kind = LayerKind::kPair;
    if (layer.pair().kind() != v1::NodePair::KIND_UNSPECIFIED) {
      spec->pair = static_cast<engine::PairKind>(layer.pair().kind() - 1);
    }
    return true;
  }
  if (!layer.has_graph_pool()) return false;
  spec->kind = LayerKind::kGraphPool;
  spec->reduction = layer.graph_pool().kind() == v1::GraphPool::KIND_SUM ? engine::Reduction::kSum
                                                                         : engine::Reduction::kMean;
  return true;
}

}  // namespace beamline::pipeline
