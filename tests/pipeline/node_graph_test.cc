// Graphs from tables of nodes and arcs: built, learned from, measured.
#include "pipeline/node_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/digest.h"
#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "pipeline/examples.h"
#include "pipeline/predict.h"
#include "pipeline/text_value.h"
#include "pipeline/yaml.h"
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

struct Graph {
  Table nodes;
  Table arcs;
};

using Rows = google::protobuf::RepeatedPtrField<google::protobuf::Struct>;

// As a request has them.
Rows RowsOf(const Table& table) {
  Rows rows;
  for (int64_t i = 0; i < table.rows(); ++i) {
    auto& fields = *rows.Add()->mutable_fields();
    for (const Column& column : table.columns()) {
      google::protobuf::Value& value = fields[column.name()];
      if (column.type() == engine::data::ColumnType::kCategorical) {
        value.set_string_value(column.Text(i));
      } else {
        value.set_number_value(std::stod(column.Text(i)));
      }
    }
  }
  return rows;
}

absl::StatusOr<std::vector<v1::Prediction>> Ask(const Predictor& predictor, const Rows& rows,
                                                const Rows& arcs) {
  PredictOptions options;
  options.arcs = &arcs;
  return predictor.Predict(rows, options);
}

// Two sides whose nodes know little of their own, and have most arcs among themselves.
Graph AddCommunities(Bench* bench, int nodes) {
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
  const Graph graph = {Table({Column::OfStrings("id", id), Column::Of("hint", hint),
                              Column::OfStrings("side", side)}),
                       Table({Column::OfStrings("a", from), Column::OfStrings("b", to)})};
  bench->AddTable("nodes", graph.nodes);
  bench->AddTable("arcs", graph.arcs);
  return graph;
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

  Bench other(kNodes);
  other.threads = 3;
  AddCommunities(&other, 300);
  other.Run("train");
  EXPECT_EQ(Sha256Hex(other.ModelBytes("train")), Sha256Hex(bench.ModelBytes("train")));
}

// For the nodes of the test part the same as the evaluation saw, whatever their order.
TEST(NodeGraphTest, PredictsNodesOfTheTrainingGraphAndOfOthers) {
  Bench bench(kNodes);
  const Graph graph = AddCommunities(&bench, 300);
  const v1::TaskEnd end = bench.RunAll();
  const v1::Evaluation& evaluation = end.result().result().evaluation();
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const v1::ModelCard& card = predictor->card();
  EXPECT_EQ(card.data().graph().from(), "a");
  EXPECT_EQ(card.data().graph().to(), "b");
  const Rows arcs = RowsOf(graph.arcs);
  Rows rows = RowsOf(graph.nodes);
  const auto said = Ask(*predictor, rows, arcs).value();
  ASSERT_EQ(said.size(), 300U);
  const std::vector<int64_t> test = MakeExamples(graph.nodes, card.data(), card.seed()).test.heads;
  ASSERT_EQ(test.size(), 120U);
  int right = 0;
  for (const int64_t node : test) {
    right += said[static_cast<size_t>(node)].label() == graph.nodes.Get("side").Text(node) ? 1 : 0;
  }
  EXPECT_DOUBLE_EQ(right / 120.0, evaluation.metrics().at("accuracy"));

  std::reverse(rows.pointer_begin(), rows.pointer_end());
  const auto reversed = Ask(*predictor, rows, arcs).value();
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(reversed[i].label(), said[299 - i].label());

  Bench other(kNodes);
  const Graph larger = AddCommunities(&other, 400);
  EXPECT_EQ(Ask(*predictor, RowsOf(larger.nodes), RowsOf(larger.arcs)).value().size(), 400U);
}

// Rows that only name nodes: of the training's graph, as if it had been given whole.
TEST(NodeGraphTest, FindsNodesOfTheTrainingGraphByTheirNames) {
  Bench bench(kNodes);
  const Graph graph = AddCommunities(&bench, 300);
  bench.Run("train");
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto whole = Ask(*predictor, RowsOf(graph.nodes), RowsOf(graph.arcs)).value();
  PredictOptions options;
  Rows rows;
  for (const char* name : {"n7", "n250", "n7", "n0"}) {
    (*rows.Add()->mutable_fields())["id"].set_string_value(name);
  }
  EXPECT_THAT(predictor->Predict(rows, options).status().message(),
              HasSubstr("the data that the model was trained on is not here"));
  options.nodes_file = bench.Start("train").input_paths().at("nodes");
  options.arcs_file = bench.Start("train").input_paths().at("arcs");
  const auto said = predictor->Predict(rows, options).value();
  ASSERT_EQ(said.size(), 4U);
  const std::vector<size_t> nodes = {7, 250, 7, 0};
  for (size_t i = 0; i < nodes.size(); ++i) {
    EXPECT_EQ(said[i].label(), whole[nodes[i]].label());
    EXPECT_EQ(said[i].probabilities(0), whole[nodes[i]].probabilities(0));
  }
  (*rows.Add()->mutable_fields())["id"].set_string_value("n300");
  EXPECT_EQ(predictor->Predict(rows, options).status().message(),
            "row 5, column \"id\": the training's graph has no node \"n300\"");
}

google::protobuf::Struct Row(const std::string& yaml) {
  google::protobuf::Struct row;
  TextValue value;
  Violations violations;
  EXPECT_TRUE(ReadYaml(yaml, &value, &violations)) << yaml;
  *row.mutable_fields() = ToProto(value).struct_value().fields();
  return row;
}

TEST(NodeGraphTest, SaysWhatDoesNotFitAGraph) {
  Bench bench(kNodes);
  AddCommunities(&bench, 300);
  bench.Run("train");
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto error = [&](const std::vector<std::string>& nodes,
                         const std::vector<std::string>& to) {
    Rows rows, arcs;
    for (const std::string& node : nodes) *rows.Add() = Row(node);
    for (const std::string& arc : to) *arcs.Add() = Row(arc);
    const auto said = Ask(*predictor, rows, arcs);
    EXPECT_TRUE(said.ok() || absl::IsInvalidArgument(said.status())) << said.status();
    return std::string(said.status().message());
  };
  const std::string one = "{id: x, hint: 1}";
  const std::string two = "{id: 7, hint: null, side: left}";
  EXPECT_EQ(error({one, two}, {"{a: x, b: 7, weight: 3}"}), "");
  EXPECT_EQ(error({one, two}, {}),
            "arcs: are missing: rows are the nodes of a graph, give the arcs between them, each "
            "with \"a\" and \"b\"");
  EXPECT_EQ(error({one}, {"{a: x}"}),
            "arcs, row 1, column \"b\": is missing: nodes and graphs need a name");
  EXPECT_EQ(error({one}, {"{a: x, b: 1.5}"}),
            "arcs, row 1, column \"b\": expected a name: text or a whole number");
  EXPECT_EQ(error({one}, {"{a: x, b: y}"}), "arcs, row 1, column \"b\": there is no node \"y\"");
  EXPECT_EQ(error({one, one}, {"{a: x, b: x}"}), "row 2: node \"x\" is there twice");
  EXPECT_EQ(error({"{hint: 1}"}, {"{a: x, b: x}"}),
            "row 1, column \"id\": is missing: nodes and graphs need a name");
  EXPECT_EQ(error({"{id: x}"}, {"{a: x, b: x}"}),
            "row 1, column \"hint\": is missing: give a value, or null if it is unknown");
  EXPECT_EQ(error({"{id: x, hint: 1, hnt: 2}"}, {"{a: x, b: x}"}),
            "row 1, column \"hnt\": the model has no such column (did you mean \"hint\"?)");
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
  const Table nodes({Column::OfStrings("id", id), Column::OfStrings("graph", graph),
                     Column::Of("one", one), Column::OfStrings("shape", shape)});
  const Table arcs({Column::OfStrings("a", from), Column::OfStrings("b", to)});
  bench.AddTable("nodes", nodes);
  bench.AddTable("arcs", arcs);
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(end.result().failure().message(), "");
  EXPECT_EQ(end.result().result().evaluation().row_count(), 24);
  EXPECT_EQ(end.result().result().evaluation().metrics().at("accuracy"), 1);

  // A prediction for each graph, by its name.
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto said = Ask(*predictor, RowsOf(nodes), RowsOf(arcs)).value();
  ASSERT_EQ(said.size(), 80U);
  for (size_t g = 0; g < said.size(); ++g) {
    EXPECT_EQ(said[g].graph(), "g" + std::to_string(g));
    EXPECT_EQ(said[g].label(), g % 2 == 0 ? "ring" : "star");
  }
  PredictOptions options;
  options.nodes_file = bench.Start("train").input_paths().at("nodes");
  options.arcs_file = bench.Start("train").input_paths().at("arcs");
  Rows named;
  for (const char* name : {"g41", "g6"}) {
    (*named.Add()->mutable_fields())["graph"].set_string_value(name);
  }
  const auto found = predictor->Predict(named, options).value();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].graph(), "g41");
  EXPECT_EQ(found[0].label(), "star");
  EXPECT_EQ(found[1].label(), "ring");
}

}  // namespace
}  // namespace beamline::pipeline
