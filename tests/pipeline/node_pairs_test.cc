// Pairs of nodes: split, drawn, learned from, measured.
#include "pipeline/node_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
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
using ::testing::HasSubstr;

using Ends = std::pair<int64_t, int64_t>;

Table Nodes(int64_t count) {
  std::vector<double> one(static_cast<size_t>(count), 1);
  return Table({Column::Of("one", one)});
}

Table ArcTable(const std::vector<Ends>& arcs) {
  std::vector<int64_t> from, to;
  for (const auto& [a, b] : arcs) {
    from.push_back(a);
    to.push_back(b);
  }
  return Table({Column::Of("from", from), Column::Of("to", to)});
}

v1::TrainingData Data(bool directed) {
  v1::TrainingData data;
  data.mutable_graph()->set_directed(directed);
  data.mutable_graph()->mutable_pairs();
  data.mutable_split()->mutable_random()->set_validation(0.2);
  data.mutable_split()->mutable_random()->set_test(0.2);
  return data;
}

// A ring with an arc that is there twice and one from a node to itself.
std::vector<Ends> Ring(int64_t nodes) {
  std::vector<Ends> arcs = {{1, 0}, {2, 2}};
  for (int64_t i = 0; i < nodes; ++i) arcs.emplace_back(i, (i + 1) % nodes);
  return arcs;
}

// The pairs of a part with such a label, the smaller node first unless they are directed.
std::set<Ends> PairsOf(const Examples& part, int32_t label, bool directed) {
  std::set<Ends> pairs;
  for (size_t i = 0; i < part.labels.size(); ++i) {
    if (part.labels[i] != label) continue;
    Ends ends = {part.begins[2 * i], part.begins[2 * i + 1]};
    if (!directed && ends.first > ends.second) std::swap(ends.first, ends.second);
    EXPECT_TRUE(pairs.insert(ends).second) << "drawn twice";
  }
  return pairs;
}

TEST(NodePairsTest, EachPartHasAsManyWithAnArcAsWithout) {
  for (const bool directed : {false, true}) {
    const std::vector<Ends> ring = Ring(30);
    const SplitPairs pairs = MakePairs(Nodes(30), ArcTable(ring), Data(directed), 7);
    std::set<Ends> arcs, seen, absent;
    const std::vector<const Examples*> parts = {&pairs.examples.train, &pairs.examples.validation,
                                                &pairs.examples.test};
    // The arc backwards is another one only where arcs lead one way.
    const size_t all = directed ? 31 : 30;
    EXPECT_EQ(parts[1]->labels.size(), 12U);
    EXPECT_EQ(parts[2]->labels.size(), 12U);
    EXPECT_EQ(parts[0]->labels.size() + 24, 2 * all);
    for (const Examples* part : parts) {
      EXPECT_EQ(part->size(), static_cast<int64_t>(part->labels.size()));
      const std::set<Ends> with = PairsOf(*part, 1, directed);
      const std::set<Ends> without = PairsOf(*part, 0, directed);
      EXPECT_EQ(with.size(), without.size());
      if (part == parts[0]) seen = with;
      arcs.insert(with.begin(), with.end());
      absent.insert(without.begin(), without.end());
    }
    EXPECT_EQ(arcs.size(), all);
    EXPECT_EQ(absent.size(), all);
    for (auto [from, to] : ring) {
      if (from == to) continue;
      if (!directed && from > to) std::swap(from, to);
      EXPECT_EQ(arcs.count({from, to}), 1U);
      EXPECT_EQ(absent.count({from, to}), 0U);
    }
    for (const auto& [from, to] : absent) EXPECT_NE(from, to);
    // What layers see: the training arcs and no others.
    std::set<Ends> layers;
    for (size_t k = 0; k < pairs.seen.sources.size(); ++k) {
      layers.emplace(pairs.seen.sources[k], pairs.seen.targets[k]);
    }
    EXPECT_EQ(layers, seen);
  }
}

TEST(NodePairsTest, DependOnTheSeedAlone) {
  const auto codes = [](uint64_t seed) {
    return MakePairs(Nodes(30), ArcTable(Ring(30)), Data(false), seed).examples.test.begins;
  };
  EXPECT_EQ(codes(1), codes(1));
  EXPECT_NE(codes(1), codes(2));
}

std::string ErrorOf(const Table& nodes, const std::vector<Ends>& arcs) {
  try {
    MakePairs(nodes, ArcTable(arcs), Data(false), 1);
  } catch (const engine::Error& error) {
    return error.what();
  }
  return "";
}

TEST(NodePairsTest, RefusesGraphsWithoutEnoughPairs) {
  EXPECT_THAT(ErrorOf(Nodes(3), {{1, 1}}), HasSubstr("no arcs between different nodes"));
  EXPECT_THAT(ErrorOf(Nodes(4), {{0, 1}, {0, 2}, {0, 3}, {1, 2}}),
              HasSubstr("4 arcs, but only 2 pairs of nodes without one"));
  EXPECT_THAT(ErrorOf(Nodes(3), {{0, 7}}), HasSubstr("there is no node \"7\""));
  // Exactly enough.
  EXPECT_EQ(ErrorOf(Nodes(5), {{0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 2}}), "");
}

constexpr char kLinks[] = R"(
name: links
seed: 1
inputs: {nodes: {dataset: d}, arcs: {dataset: e}}
steps:
  - name: train
    train:
      data:
        input: nodes
        features: [id]
        graph: {arcs: arcs, node: id, pairs: {}}
        split: {random: {validation: 0.1, test: 0.2}}
      network:
        layers:
          - graph_conv: {units: 16, activation: relu}
          - graph_conv: {units: 8}
          - pair: {kind: product}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.02}}
        batch_size: 64
        epochs: 30
        early_stopping: {metric: auc, patience: 30}
  - name: evaluate
    evaluate: {model: train, metrics: [auc, pr_auc, accuracy, loss]}
)";

// Three groups; most arcs stay within one.
void AddGroups(Bench* bench, int nodes) {
  const engine::Philox random(3, 4);
  std::vector<std::string> id, from, to;
  for (int i = 0; i < nodes; ++i) id.push_back("n" + std::to_string(i));
  for (int k = 0; k < 8 * nodes; ++k) {
    const auto at = static_cast<uint64_t>(3 * k);
    const auto count = static_cast<uint64_t>(nodes);
    const auto i = static_cast<int>(random.Below(at, count));
    auto j = static_cast<int>(random.Below(at + 1, count));
    if (random.Uniform(at + 2) < 0.9f) j += (i - j) % 3;
    if (j < 0 || j >= nodes) continue;
    from.push_back(id[static_cast<size_t>(i)]);
    to.push_back(id[static_cast<size_t>(j)]);
  }
  bench->AddTable("nodes", Table({Column::OfStrings("id", id)}));
  bench->AddTable("arcs", Table({Column::OfStrings("a", from), Column::OfStrings("b", to)}));
}

TEST(NodePairsTest, ArcsAreFoundThatNobodySaw) {
  Bench bench(kLinks);
  AddGroups(&bench, 90);
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(end.result().failure().message(), "");
  const v1::Evaluation& evaluation = end.result().result().evaluation();
  EXPECT_GT(evaluation.row_count(), 150);
  EXPECT_EQ(evaluation.row_count() % 2, 0);
  // A pair within one group has an arc in about half of the cases: 0.85 for who knows the groups.
  EXPECT_GT(evaluation.metrics().at("auc"), 0.75);
  EXPECT_GT(evaluation.metrics().at("pr_auc"), 0.6);
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  EXPECT_EQ(predictor->card().classes(1), "present");
  EXPECT_EQ(predictor->Predict({}).status().code(), absl::StatusCode::kUnimplemented);

  Bench other(kLinks);
  other.threads = 3;
  AddGroups(&other, 90);
  other.Run("train");
  EXPECT_EQ(Sha256Hex(other.ModelBytes("train")), Sha256Hex(bench.ModelBytes("train")));
}

// Nobody can find arcs that are drawn evenly: a figure above chance would be a leak.
TEST(NodePairsTest, ArcsByChanceAreNotFound) {
  Bench bench(kLinks);
  const engine::Philox random(5, 6);
  std::vector<std::string> id, from, to;
  for (int i = 0; i < 150; ++i) id.push_back("n" + std::to_string(i));
  for (uint64_t k = 0; k < 1200; ++k) {
    from.push_back(id[random.Below(2 * k, 150)]);
    to.push_back(id[random.Below(2 * k + 1, 150)]);
  }
  bench.AddTable("nodes", Table({Column::OfStrings("id", id)}));
  bench.AddTable("arcs", Table({Column::OfStrings("a", from), Column::OfStrings("b", to)}));
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(end.result().failure().message(), "");
  EXPECT_NEAR(end.result().result().evaluation().metrics().at("auc"), 0.5, 0.08);
}

}  // namespace
}  // namespace beamline::pipeline
