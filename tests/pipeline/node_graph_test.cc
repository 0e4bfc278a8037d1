// Graphs from tables of nodes and arcs: built, learned from, measured.
#include "pipeline/node_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/digest.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const Table& nodes, const Table& arcs, const v1::NodeGraph& graph) {
  try {
    BuildGraph({}, nodes, arcs, graph);
  } catch (const engine::Error& error) {
    return error.what();
  }
  return "";
}

TEST(NodeGraphTest, ArcsNameNodesByRowOrByColumn) {
  const Table nodes(
      {Column::OfStrings("id", {"a", "b", "c"}), Column::OfStrings("group", {"x", "y", "y"})});
  const Table rows(
      {Column::Of("s", std::vector<int64_t>{0, 1}), Column::Of("t", std::vector<int64_t>{1, 2})});
  v1::NodeGraph graph;
  EXPECT_THAT(BuildGraph({}, nodes, rows, graph)->sources, ElementsAre(0, 1, 1, 2));
  graph.set_directed(true);
  EXPECT_THAT(BuildGraph({}, nodes, rows, graph)->targets, ElementsAre(1, 2));
  graph.set_from("t");
  graph.set_to("s");
  EXPECT_THAT(BuildGraph({}, nodes, rows, graph)->sources, ElementsAre(1, 2));
  graph.set_node("id");
  EXPECT_EQ(ErrorOf(nodes, rows, graph), "arcs, row 1, column \"t\": there is no node \"1\"");
  const Table names({Column::OfStrings("s", {"c"}), Column::OfStrings("t", {"b"})});
  EXPECT_THAT(BuildGraph({}, nodes, names, graph)->sources, ElementsAre(1));
  graph.set_member("group");
  const auto built = BuildGraph({}, nodes, names, graph);
  EXPECT_EQ(built->graphs, 2);
  EXPECT_THAT(built->graph_of_node, ElementsAre(0, 1, 1));
  const Table across({Column::OfStrings("s", {"c"}), Column::OfStrings("t", {"a"})});
  EXPECT_THAT(ErrorOf(nodes, across, graph), HasSubstr("which are nodes of different graphs"));
  graph.set_node("group");
  EXPECT_EQ(ErrorOf(nodes, names, graph), "row 3: node \"y\" is there twice");
  EXPECT_THAT(ErrorOf(nodes, Table({Column::OfStrings("s", {"c"})}), {}),
              HasSubstr("two columns or more"));
}

constexpr char kNodes[] = R"(
name: communities
seed: 1
inputs: {nodes: {dataset: d}, arcs: {dataset: e}}
steps:
  - name: train
    train:
      data:
        input: nodes
        target: side
        graph: {arcs: arcs, node: id}
        split: {stratified: {validation: 0.2, test: 0.4}}
      network:
        layers:
          - graph_conv: {units: 8, activation: relu}
          - dropout: {rate: 0.2}
          - graph_conv: {}
        optimizer: {adam: {learning_rate: 0.02}}
        batch_size: 64
        epochs: 40
  - name: evaluate
    evaluate: {model: train}
)";

// Two sides whose nodes know little of their own, and have most arcs among themselves.
void AddCommunities(Bench* bench, int nodes) {
  const engine::Philox random(3, 4);
  std::vector<std::string> id, side, from, to;
  std::vector<double> hint;
  for (int i = 0; i < nodes; ++i) {
    id.push_back("n" + std::to_string(i));
    side.push_back(i % 2 == 0 ? "left" : "right");
    hint.push_back((i % 2) + 2.0 * static_cast<double>(random.Normal(static_cast<uint64_t>(i))));
  }
  for (int i = 0; i < nodes; ++i) {
    for (int k = 0; k < 6; ++k) {
      const auto at = static_cast<uint64_t>(1000 * (k + 1) + i);
      auto j = static_cast<int>(random.Below(at, static_cast<uint64_t>(nodes)));
      if (k > 0) j = (j & ~1) | (i & 1);
      if (j == i || j >= nodes) continue;
      from.push_back(id[static_cast<size_t>(i)]);
      to.push_back(id[static_cast<size_t>(j)]);
    }
  }
  bench->AddTable("nodes", Table({Column::OfStrings("id", id), Column::Of("hint", hint),
                                  Column::OfStrings("side", side)}));
  bench->AddTable("arcs", Table({Column::OfStrings("a", from), Column::OfStrings("b", to)}));
}

TEST(NodeGraphTest, NodesLearnFromThoseAroundThem) {
  Bench bench(kNodes);
  AddCommunities(&bench, 300);
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(end.result().failure().message(), "");
  const v1::Evaluation& evaluation = end.result().result().evaluation();
  EXPECT_EQ(evaluation.row_count(), 120);
  // The hint alone is right in 0.6 of the cases.
  EXPECT_GT(evaluation.metrics().at("accuracy"), 0.8);
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  EXPECT_EQ(predictor->Predict({}).status().code(), absl::StatusCode::kUnimplemented);

  Bench other(kNodes);
  other.threads = 3;
  AddCommunities(&other, 300);
  other.Run("train");
  EXPECT_EQ(Sha256Hex(other.ModelBytes("train")), Sha256Hex(bench.ModelBytes("train")));
}

constexpr char kGraphs[] = R"(
name: shapes
seed: 1
inputs: {nodes: {dataset: d}, arcs: {dataset: e}}
steps:
  - name: train
    train:
      data:
        input: nodes
        target: shape
        features: [one]
        transforms: [{scale: {factor: 1}}]
        graph: {arcs: arcs, node: id, member: graph}
        split: {stratified: {test: 0.3}}
      network:
        layers:
          - graph_conv: {kind: gin, units: 16, activation: relu}
          - dense: {units: 16, activation: relu}
          - graph_conv: {kind: gin, units: 16, activation: relu}
          - graph_pool: {}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.01}}
        batch_size: 16
        epochs: 40
  - name: evaluate
    evaluate: {model: train}
)";

// Rings and stars of as many nodes, which differ by their arcs alone.
TEST(NodeGraphTest, SmallGraphsAreExamples) {
  std::vector<std::string> id, graph, shape, from, to;
  std::vector<double> one;
  for (int g = 0; g < 80; ++g) {
    const int size = 5 + g / 2 % 4;
    const auto name = [&](int i) { return std::to_string(g) + "." + std::to_string(i); };
    for (int i = 0; i < size; ++i) {
      id.push_back(name(i));
      graph.push_back("g" + std::to_string(g));
      shape.push_back(g % 2 == 0 ? "ring" : "star");
      one.push_back(i % 3 == 0 ? 1 : 1.1);
      if (g % 2 == 1 && i == 0) continue;
      from.push_back(name(i));
      to.push_back(g % 2 == 0 ? name((i + 1) % size) : name(0));
    }
  }
  Bench bench(kGraphs);
  bench.AddTable("nodes", Table({Column::OfStrings("id", id), Column::OfStrings("graph", graph),
                                 Column::Of("one", one), Column::OfStrings("shape", shape)}));
  bench.AddTable("arcs", Table({Column::OfStrings("a", from), Column::OfStrings("b", to)}));
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(end.result().failure().message(), "");
  EXPECT_EQ(end.result().result().evaluation().row_count(), 24);
  EXPECT_EQ(end.result().result().evaluation().metrics().at("accuracy"), 1);
}

}  // namespace
}  // namespace beamline::pipeline
