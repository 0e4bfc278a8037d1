// Graph networks: convolutions over neighbours, pooling over graphs, and looking up nodes.
#include <cmath>

#include "engine/core/error.h"
#include "engine/nn/initializer.h"
#include "engine/nn/layers.h"
#include "engine/nn/node_graph.h"

namespace beamline::engine {
namespace {

// The slope of GAT's scores below zero (Velickovic et al. 2018).
constexpr double kScoreSlope = 0.2;

const NodeGraph& GraphOf(const LayerContext& context) {
  if (context.nodes == nullptr) {
    Fail("layer \"", context.name,
         "\" works on the nodes of a graph, but the data has no graph: give it one");
  }
  return *context.nodes;
}

Value Codes(const LayerContext& context, const std::string& name,
            const std::vector<int32_t>& codes) {
  const Value found = context.graph.Find(name);
  if (found.valid()) return found;
  return context.graph.CodesConstant(name, {static_cast<int64_t>(codes.size())}, codes);
}

// Constants that all layers with such rows share.
Graph::Adjacency AddAdjacency(const LayerContext& context, const std::string& prefix,
                              const SparseRows& rows) {
  const TransposedRows transposed = Transpose(rows, GraphOf(context).nodes);
  const auto edges = static_cast<int64_t>(rows.columns.size());
  Value order = context.graph.Find(prefix + ".order");
  if (!order.valid()) {
    order = context.graph.CodesConstant(prefix + ".order", {edges, 1}, transposed.edges);
  }
  return {Codes(context, prefix + ".offsets", rows.offsets),
          Codes(context, prefix + ".columns", rows.columns),
          Codes(context, prefix + ".transposed_offsets", transposed.rows.offsets),
          Codes(context, prefix + ".transposed_columns", transposed.rows.columns), order};
}

Value EdgeWeights(const LayerContext& context, const std::string& name,
                  const std::vector<double>& weights) {
  const Value found = context.graph.Find(name);
  if (found.valid()) return found;
  return context.graph.Constant(name, {static_cast<int64_t>(weights.size()), 1}, weights);
}

// 1 / sqrt(d_i d_j), d counting the loop (Kipf, Welling 2017).
std::vector<double> SymmetricWeights(const SparseRows& rows) {
  const auto degree = [&](int32_t i) {
    const auto at = static_cast<size_t>(i);
    return static_cast<double>(rows.offsets[at + 1] - rows.offsets[at]);
  };
  std::vector<double> weights;
  for (int32_t i = 0; i + 1 < static_cast<int32_t>(rows.offsets.size()); ++i) {
    for (int32_t k = rows.offsets[static_cast<size_t>(i)];
         k < rows.offsets[static_cast<size_t>(i) + 1]; ++k) {
      weights.push_back(1 / std::sqrt(degree(i) * degree(rows.columns[static_cast<size_t>(k)])));
    }
  }
  return weights;
}

// 1 / d_i, or 1.
std::vector<double> RowWeights(const SparseRows& rows, bool mean) {
  std::vector<double> weights;
  for (size_t i = 0; i + 1 < rows.offsets.size(); ++i) {
    const int32_t degree = rows.offsets[i + 1] - rows.offsets[i];
    weights.insert(weights.end(), static_cast<size_t>(degree), mean ? 1.0 / degree : 1.0);
  }
  return weights;
}

// One part of a layer's weights, "<name>.<what>": [inputs, units].
Value Weight(const LayerContext& context, const std::string& what, int64_t units) {
  const int64_t inputs = context.shape().Columns();
  return context.Parameter(
      what, {inputs, units},
      InitialWeight(context.layer.initializer, context.layer.activation, inputs, units));
}

Value Finish(const LayerContext& context, Value y) {
  if (context.layer.bias) {
    const int64_t units = context.graph.shape(y).Columns();
    y = context.graph.BiasAdd(context.name, y, context.Parameter("bias", {units}, {}));
  }
  return context.graph.Activate(context.name, y, context.layer.activation);
}

// sum_k w_k (x W), or (sum_k w_k x) W where x is narrower.
Value Aggregate(const LayerContext& context, Value weights, const Graph::Adjacency& adjacency,
                Value matrix, int64_t units) {
  Graph& graph = context.graph;
  if (units > context.shape().Columns()) {
    return graph.MatMul(context.name,
                        graph.SparseMatMul(context.name, context.x(), weights, adjacency), matrix);
  }
  return graph.SparseMatMul(context.name, graph.MatMul(context.name, context.x(), matrix), weights,
                            adjacency);
}

Value Gcn(const LayerContext& context) {
  const SparseRows rows = IncomingArcs(GraphOf(context), true);
  const Graph::Adjacency adjacency = AddAdjacency(context, "graph.loops", rows);
  const Value weights = EdgeWeights(context, "graph.symmetric", SymmetricWeights(rows));
  const int64_t units = context.Units();
  return Finish(context,
                Aggregate(context, weights, adjacency, Weight(context, "weight", units), units));
}

// Node and neighbours by weights of their own: SAGE with mean, GIN with sum and eps = 0 (then both
// share their weights).
Value SageOrGin(const LayerContext& context, bool sage) {
  Graph& graph = context.graph;
  const SparseRows rows = IncomingArcs(GraphOf(context), false);
  const Graph::Adjacency adjacency = AddAdjacency(context, "graph.arcs", rows);
  const Value weights =
      EdgeWeights(context, sage ? "graph.mean" : "graph.sum", RowWeights(rows, sage));
  const int64_t units = context.Units();
  const Value matrix = Weight(context, "weight", units);
  if (!sage) {
    const Value sum = graph.SparseMatMul(context.name, context.x(), weights, adjacency);
    return Finish(context,
                  graph.MatMul(context.name, graph.Add(context.name, context.x(), sum), matrix));
  }
  const Value neighbours =
      Aggregate(context, weights, adjacency, Weight(context, "neighbour_weight", units), units);
  const Value own = graph.MatMul(context.name, context.x(), matrix);
  return Finish(context, graph.Add(context.name, own, neighbours));
}

Value Gat(const LayerContext& context) {
  Graph& graph = context.graph;
  const Graph::Adjacency adjacency =
      AddAdjacency(context, "graph.loops", IncomingArcs(GraphOf(context), true));
  const int64_t units = context.Units();
  const int64_t heads = context.layer.heads;
  if (heads < 1 || units % heads != 0) {
    Fail("layer \"", context.name, "\" cannot split ", units, " units into ", heads,
         " heads: set units to a multiple of heads");
  }
  const Value h = graph.MatMul(context.name, context.x(), Weight(context, "weight", units));
  const Initial initial =
      InitialWeight(Initializer::kGlorotUniform, Activation::kLinear, units / heads, 1);
  const Value to =
      graph.HeadDot(context.name, h, context.Parameter("target_score", {units}, initial), heads);
  const Value from =
      graph.HeadDot(context.name, h, context.Parameter("source_score", {units}, initial), heads);
  const Value scores =
      graph.Activate(context.name, graph.EdgeAdd(context.name, to, from, adjacency),
                     Activation::kLeakyRelu, kScoreSlope);
  Value attention = graph.EdgeSoftmax(context.name, scores, adjacency);
  if (context.layer.rate > 0 && context.training()) {
    attention = graph.Dropout(context.name, attention, context.Number("rate", context.layer.rate));
  }
  return Finish(context, graph.SparseMatMul(context.name, h, attention, adjacency));
}

}  // namespace

Value BuildGraphConv(const LayerContext& context) {
  context.RequireNumbers();
  if (context.shape().rank() != 2) {
    Fail("layer \"", context.name, "\" works on nodes, [nodes, features], but gets ",
         context.shape());
  }
  if (!(context.layer.rate >= 0 && context.layer.rate < 1)) {
    Fail("layer \"", context.name, "\": the rate must be at least 0 and below 1, got ",
         context.layer.rate);
  }
  switch (context.layer.graph_conv) {
    case GraphConvKind::kGcn:
      return Gcn(context);
    case GraphConvKind::kSage:
      return SageOrGin(context, true);
    case GraphConvKind::kGin:
      return SageOrGin(context, false);
    case GraphConvKind::kGat:
      return Gat(context);
  }
  Fail("layer \"", context.name, "\" is a graph convolution of a kind that is not known");
}

Value BuildGraphPool(const LayerContext& context) {
  const SparseRows rows = NodesOfGraphs(GraphOf(context));
  const Graph::Adjacency adjacency = AddAdjacency(context, "graph.members", rows);
  const Reduction reduction = context.layer.reduction;
  if (reduction != Reduction::kMean && reduction != Reduction::kSum) {
    Fail("layer \"", context.name, "\" takes the mean or the sum over a graph: choose one");
  }
  const bool mean = reduction == Reduction::kMean;
  const Value weights = EdgeWeights(context, mean ? "graph.members.mean" : "graph.members.sum",
                                    RowWeights(rows, mean));
  return context.graph.SparseMatMul(context.name, context.x(), weights, adjacency);
}

Value BuildGather(const LayerContext& context) {
  const Value codes = context.inputs[1];
  if (context.graph.info(codes).dtype != DType::kInt32 || context.shape().rank() != 2) {
    Fail("layer \"", context.name, "\" looks up rows of its first input by codes, but gets ",
         context.shape(), " and ", context.graph.shape(codes));
  }
  const std::vector<int64_t> offsets(static_cast<size_t>(context.graph.shape(codes).Columns()), 0);
  return context.graph.Embedding(context.name, context.x(), codes, offsets);
}

Value BuildPair(const LayerContext& context) {
  Graph& graph = context.graph;
  const std::string& name = context.name;
  const Value both = BuildGather(context);
  if (context.graph.shape(context.inputs[1]).Columns() != 2) {
    Fail("layer \"", name, "\" makes rows of pairs, but each row names ",
         context.graph.shape(context.inputs[1]).Columns(), " node: the data has no pairs");
  }
  if (context.layer.pair == PairKind::kConcat) return both;
  const int64_t units = context.shape().Columns();
  const Value product = graph.Multiply(name, graph.Slice(name, both, 0, units),
                                       graph.Slice(name, both, units, units));
  if (context.layer.pair == PairKind::kProduct) return product;
  return graph.Reduce(name, graph.Reshape(name, product, {context.batch, units, 1}),
                      Reduction::kSum);
}

}  // namespace beamline::engine
