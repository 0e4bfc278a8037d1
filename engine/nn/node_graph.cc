#include "engine/nn/node_graph.h"

#include <algorithm>
#include <limits>

#include "engine/core/error.h"

namespace beamline::engine {
namespace {

void RequireRange(const char* what, const std::vector<int32_t>& numbers, int64_t below) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] >= 0 && numbers[i] < below) continue;
    Fail("graph: ", what, " ", i + 1, " is ", numbers[i], ", but there are ", below);
  }
}

// Rows of (row, column) pairs, each once.
SparseRows Collect(int64_t rows, std::vector<std::pair<int32_t, int32_t>> entries) {
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  SparseRows sparse;
  sparse.offsets.assign(static_cast<size_t>(rows) + 1, 0);
  for (const auto& [row, column] : entries) {
    ++sparse.offsets[static_cast<size_t>(row) + 1];
    sparse.columns.push_back(column);
  }
  for (size_t i = 1; i < sparse.offsets.size(); ++i) sparse.offsets[i] += sparse.offsets[i - 1];
  return sparse;
}

}  // namespace

void CheckNodeGraph(const NodeGraph& graph) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max() / 2;
  if (graph.nodes < 1 || graph.nodes > kMost) {
    Fail("graph: the number of nodes must be from 1 to ", kMost, ", got ", graph.nodes);
  }
  if (static_cast<int64_t>(graph.sources.size()) > kMost) {
    Fail("graph: there are ", graph.sources.size(), " arcs; at most ", kMost, " are possible");
  }
  if (graph.features == nullptr || graph.features->shape().rank() != 2 ||
      graph.features->shape().dim(0) != graph.nodes || graph.features->dtype() != DType::kFloat32) {
    Fail("graph: the features must be [nodes, features] in float32");
  }
  if (graph.sources.size() != graph.targets.size()) {
    Fail("graph: there are ", graph.sources.size(), " sources and ", graph.targets.size(),
         " targets of arcs");
  }
  RequireRange("source", graph.sources, graph.nodes);
  RequireRange("target", graph.targets, graph.nodes);
  if (graph.graph_of_node.empty()) {
    if (graph.graphs != 1)
      Fail("graph: nothing says which of ", graph.graphs, " graphs a node is of");
    return;
  }
  if (static_cast<int64_t>(graph.graph_of_node.size()) != graph.nodes || graph.graphs < 1) {
    Fail("graph: ", graph.graph_of_node.size(), " of ", graph.nodes, " nodes belong to a graph");
  }
  RequireRange("the graph of node", graph.graph_of_node, graph.graphs);
}

SparseRows IncomingArcs(const NodeGraph& graph, bool self_loops) {
  std::vector<std::pair<int32_t, int32_t>> entries;
  entries.reserve(graph.sources.size() + static_cast<size_t>(graph.nodes));
  for (size_t k = 0; k < graph.sources.size(); ++k) {
    if (graph.sources[k] != graph.targets[k]) {
      entries.emplace_back(graph.targets[k], graph.sources[k]);
    }
  }
  for (int32_t i = 0; self_loops && i < graph.nodes; ++i) entries.emplace_back(i, i);
  return Collect(graph.nodes, std::move(entries));
}

SparseRows NodesOfGraphs(const NodeGraph& graph) {
  std::vector<std::pair<int32_t, int32_t>> entries;
  for (int32_t i = 0; i < graph.nodes; ++i) {
    entries.emplace_back(
        graph.graph_of_node.empty() ? 0 : graph.graph_of_node[static_cast<size_t>(i)], i);
  }
  return Collect(graph.graphs, std::move(entries));
}

TransposedRows Transpose(const SparseRows& rows, int64_t columns) {
  TransposedRows transposed;
  SparseRows& out = transposed.rows;
  out.offsets.assign(static_cast<size_t>(columns) + 1, 0);
  for (const int32_t column : rows.columns) ++out.offsets[static_cast<size_t>(column) + 1];
  for (size_t i = 1; i < out.offsets.size(); ++i) out.offsets[i] += out.offsets[i - 1];
  out.columns.resize(rows.columns.size());
  transposed.edges.resize(rows.columns.size());
  std::vector<int32_t> next(out.offsets.begin(), out.offsets.end() - 1);
  for (size_t row = 0; row + 1 < rows.offsets.size(); ++row) {
    for (int32_t k = rows.offsets[row]; k < rows.offsets[row + 1]; ++k) {
      const auto at =
          static_cast<size_t>(next[static_cast<size_t>(rows.columns[static_cast<size_t>(k)])]++);
      out.columns[at] = static_cast<int32_t>(row);
      transposed.edges[at] = k;
    }
  }
  return transposed;
}

}  // namespace beamline::engine
