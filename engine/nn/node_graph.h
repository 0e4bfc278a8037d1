// The graph that a graph network works on: nodes with features, and arcs between them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/core/tensor.h"

namespace beamline::engine {

// One graph, or many small ones side by side. Rows of a data set name its nodes (or pairs of them,
// or its small graphs) by their number, as codes. Immutable while networks use it.
struct NodeGraph {
  int64_t nodes = 0;
  // [nodes, features], float32.
  std::shared_ptr<const Tensor> features;
  // Arc k carries from node sources[k] to node targets[k]; an undirected edge is two arcs. An arc
  // that is there twice counts once; arcs from a node to itself are ignored.
  std::vector<int32_t> sources;
  std::vector<int32_t> targets;
  // Of several small graphs: the number of the one that each node belongs to, in [0, graphs). Empty
  // if there is only one.
  std::vector<int32_t> graph_of_node;
  int64_t graphs = 1;
};

// Throws Error, saying which, if a number does not fit another or is out of range.
void CheckNodeGraph(const NodeGraph& graph);

// Compressed sparse rows: row i has columns[k] for k in [offsets[i], offsets[i + 1]), ascending.
struct SparseRows {
  std::vector<int32_t> offsets;  // [rows + 1]
  std::vector<int32_t> columns;  // [edges]
};

// Row = target, column = source; with `self_loops` also an arc from each node to itself.
SparseRows IncomingArcs(const NodeGraph& graph, bool self_loops);
// Row = small graph, column = node.
SparseRows NodesOfGraphs(const NodeGraph& graph);

// The same entries by column; `edges` says which entry of `rows` each is.
struct TransposedRows {
  SparseRows rows;
  std::vector<int32_t> edges;
};
TransposedRows Transpose(const SparseRows& rows, int64_t columns);

}  // namespace beamline::engine
