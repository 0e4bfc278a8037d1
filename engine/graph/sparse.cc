// The builder methods of graph networks.
#include "engine/core/error.h"
#include "engine/graph/graph.h"

namespace beamline::engine {
namespace {

std::vector<Value> Inputs(std::vector<Value> first, const Graph::Adjacency& adjacency) {
  first.insert(first.end(), {adjacency.offsets, adjacency.columns, adjacency.transposed_offsets,
                             adjacency.transposed_columns, adjacency.transposed_edges});
  return first;
}

int64_t RowsOf(const Graph& graph, const Graph::Adjacency& adjacency) {
  return graph.shape(adjacency.offsets).NumElements() - 1;
}

}  // namespace

Value Graph::SparseMatMul(const std::string& name, Value x, Value weights,
                          const Adjacency& adjacency) {
  const int64_t nodes = shape(adjacency.transposed_offsets).NumElements() - 1;
  if (shape(x).rank() != 2 || shape(x).dim(0) != nodes) {
    Fail("layer \"", name, "\" works on all nodes, [", nodes, ", features], but gets ", shape(x),
         ": give it \"nodes\" or a layer made of them");
  }
  const int64_t heads = shape(weights).Columns();
  if (shape(weights).Rows() != shape(adjacency.columns).NumElements() ||
      shape(x).dim(1) % heads != 0) {
    Fail("layer \"", name, "\": weights ", shape(weights), " do not fit ",
         shape(adjacency.columns).NumElements(), " edges and features ", shape(x));
  }
  return Append(OpKind::kSparseMatMul, name, Inputs({x, weights}, adjacency),
                {Shape({RowsOf(*this, adjacency), shape(x).dim(1)})})
      .outputs[0];
}

Value Graph::EdgeAdd(const std::string& name, Value a, Value b, const Adjacency& adjacency) {
  const int64_t edges = shape(adjacency.columns).NumElements();
  if (shape(a).rank() != 2 || shape(b).rank() != 2 || shape(a).dim(1) != shape(b).dim(1) ||
      shape(a).dim(0) != RowsOf(*this, adjacency) ||
      shape(b).dim(0) != shape(adjacency.transposed_offsets).NumElements() - 1) {
    Fail("layer \"", name, "\" cannot join ", shape(a), " and ", shape(b), " along edges");
  }
  return Append(OpKind::kEdgeAdd, name, Inputs({a, b}, adjacency),
                {Shape({edges, shape(a).dim(1)})})
      .outputs[0];
}

Value Graph::EdgeSoftmax(const std::string& name, Value scores, const Adjacency& adjacency) {
  return Append(OpKind::kEdgeSoftmax, name, {scores, adjacency.offsets}, {shape(scores)})
      .outputs[0];
}

Value Graph::HeadDot(const std::string& name, Value x, Value a, int64_t heads) {
  if (heads < 1 || shape(x).Columns() % heads != 0) {
    Fail("layer \"", name, "\" cannot split ", shape(x).Columns(), " features into ", heads,
         " heads: set units to a multiple of heads");
  }
  RequireVector(name, "vector", a, shape(x).Columns());
  return Append(OpKind::kHeadDot, name, {x, a}, {Shape({shape(x).Rows(), heads})}).outputs[0];
}

}  // namespace beamline::engine
