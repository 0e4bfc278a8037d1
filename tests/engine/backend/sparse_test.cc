// Ops on the edges of a graph on every backend: values and gradients.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/nn/node_graph.h"
#include "tests/engine/backend/op_fixture.h"

namespace beamline::engine {
namespace {

using testing::P;

class SparseTest : public testing::BackendTest {};

// Five nodes; node 4 receives nothing, node 2 from everybody.
NodeGraph Small() {
  NodeGraph graph;
  graph.nodes = 5;
  graph.sources = {0, 1, 3, 4, 2, 2, 1, 0, 3};
  graph.targets = {2, 2, 2, 2, 0, 1, 3, 3, 3};
  return graph;
}

Graph::Adjacency Add(Graph& g, bool self_loops) {
  const SparseRows rows = IncomingArcs(Small(), self_loops);
  const TransposedRows transposed = Transpose(rows, Small().nodes);
  const auto edges = static_cast<int64_t>(rows.columns.size());
  return {g.CodesConstant("offsets", {6}, rows.offsets),
          g.CodesConstant("columns", {edges}, rows.columns),
          g.CodesConstant("t.offsets", {6}, transposed.rows.offsets),
          g.CodesConstant("t.columns", {edges}, transposed.rows.columns),
          g.CodesConstant("t.edges", {edges, 1}, transposed.edges)};
}

TEST_P(SparseTest, SparseMatMulForOneHeadAndMore) {
  for (const int64_t heads : {1, 3}) {
    for (const bool loops : {false, true}) {
      Check([&](Graph& g) {
        const Graph::Adjacency adjacency = Add(g, loops);
        const int64_t edges = g.shape(adjacency.columns).NumElements();
        return g.SparseMatMul("aggregate", P(g, "x", {5, heads * 7}), P(g, "w", {edges, heads}),
                              adjacency);
      });
    }
  }
}

TEST_P(SparseTest, AttentionOverEdges) {
  Check([](Graph& g) {
    const Graph::Adjacency adjacency = Add(g, true);
    const Value h = P(g, "h", {5, 6});
    const Value scores = g.EdgeAdd("scores", g.HeadDot("to", h, P(g, "s", {6}), 2),
                                   g.HeadDot("from", h, P(g, "t", {6}), 2), adjacency);
    return g.SparseMatMul("aggregate", h, g.EdgeSoftmax("attention", scores, adjacency), adjacency);
  });
}

TEST(SparseRowsTest, KeepsEachArcOnceInOrder) {
  NodeGraph graph = Small();
  graph.sources.push_back(0);  // a second time
  graph.targets.push_back(2);
  const SparseRows rows = IncomingArcs(graph, false);
  EXPECT_EQ(rows.offsets, (std::vector<int32_t>{0, 1, 2, 6, 8, 8}));
  EXPECT_EQ(rows.columns, (std::vector<int32_t>{2, 2, 0, 1, 3, 4, 0, 1}));
  const TransposedRows transposed = Transpose(rows, 5);
  EXPECT_EQ(transposed.rows.offsets, (std::vector<int32_t>{0, 2, 4, 6, 7, 8}));
  EXPECT_EQ(transposed.rows.columns, (std::vector<int32_t>{2, 3, 2, 3, 0, 1, 2, 2}));
  EXPECT_EQ(transposed.edges, (std::vector<int32_t>{2, 6, 3, 7, 0, 1, 4, 5}));
}

INSTANTIATE_TEST_SUITE_P(Backends, SparseTest, ::testing::ValuesIn(testing::AllBackends()),
                         testing::BackendTestName);

}  // namespace
}  // namespace beamline::engine
