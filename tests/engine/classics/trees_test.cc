#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/trees/grow.h"
#include "engine/learners/trees/trees.h"
#include "tests/engine/classics/fixture.h"

namespace beamline::engine::testing {
namespace {

std::unique_ptr<Learner> Trained(std::unique_ptr<Learner> learner) {
  StepReport report;
  while (learner->Step(&report)) continue;
  return learner;
}

TEST(Trees, BoostedAreXgboosts) {
  for (const int classes : {0, 2, 3}) {
    SCOPED_TRACE(classes);
    const Case& recorded = FixtureCase("boosted_" + std::to_string(classes));
    const MemoryBatchSource rows = RowsOf(recorded, true);
    BoostedTreesSpec spec;
    spec.trees = 20;
    spec.max_depth = 3;
    spec.learning_rate = 0.2;
    spec.penalty = 0.7;
    spec.min_gain = 0.01;
    spec.min_child_weight = 0.5;
    const auto learner =
        Trained(MakeBoostedTrees(spec, {.layout = rows.layout(), .training = &rows}));
    std::vector<double> said = Said(*learner, ProbesOf(recorded, recorded.at("probes")));
    if (classes == 2) {
      for (size_t i = 0; i < said.size() / 2; ++i) said[i] = said[2 * i + 1];
      said.resize(said.size() / 2);
    }
    ExpectNear(said, recorded.at("predicted"), 1e-4);
    ExpectNear(learner->Importance(), recorded.at("importance"), 1e-3);
  }
}

// Of features with more values than bins: a cut that is a row beside makes other trees.
TEST(Trees, BoostedAreXgboostsBetweenTheSameCuts) {
  const Case& recorded = FixtureCase("boosted_bins");
  const MemoryBatchSource rows = RowsOf(recorded, true);
  BoostedTreesSpec spec;
  spec.trees = 20;
  spec.bins = 12;
  const auto learner =
      Trained(MakeBoostedTrees(spec, {.layout = rows.layout(), .training = &rows}));
  ExpectNear(Said(*learner, ProbesOf(recorded, recorded.at("probes"))), recorded.at("predicted"),
             1e-4);
}

TEST(Trees, OneOfAForestIsScikitLearnsDecisionTree) {
  for (const int classes : {0, 2}) {
    SCOPED_TRACE(classes);
    const Case& recorded = FixtureCase("tree_" + std::to_string(classes));
    const MemoryBatchSource rows = RowsOf(recorded, true);
    RandomForestSpec spec;
    spec.trees = 1;
    spec.max_depth = 4;
    spec.row_share = 1;
    spec.min_child_weight = 0;
    const auto learner =
        Trained(MakeRandomForest(spec, {.layout = rows.layout(), .training = &rows}));
    ExpectNear(Said(*learner, rows), recorded.at("predicted"), 1e-5);
  }
}

TEST(Trees, SameBitsForAnyThreadsAndAfterAnyResumption) {
  for (const int classes : {0, 2, 3}) {
    SCOPED_TRACE(classes);
    const MemoryBatchSource rows = RowsOf(FixtureCase("boosted_" + std::to_string(classes)), true);
    const MemoryBatchSource other = RowsOf(FixtureCase("tree_0"), true);
    BoostedTreesSpec boosted;
    boosted.trees = 12;
    boosted.row_share = 0.7;
    boosted.feature_share = 0.6;
    boosted.seed = 5;
    RandomForestSpec forest;
    forest.trees = 6;
    forest.feature_share = 0.5;
    for (const bool boosts : {true, false}) {
      for (const int patience : {0, 2}) {
        boosted.patience = patience;
        ExpectSameBits(
            [&](int threads, bool trains) {
              const LearnerData data{.layout = rows.layout(),
                                     .training = trains ? &rows : nullptr,
                                     .validation = trains ? &rows : nullptr};
              boosted.threads = forest.threads = threads;
              return boosts ? MakeBoostedTrees(boosted, data) : MakeRandomForest(forest, data);
            },
            rows);
      }
    }
  }
}

// Sums of rounded gradients are exact in any order. There are enough of everything that threads
// share histograms as well as the search for cuts.
TEST(Trees, GrowTheSameForAnyThreads) {
  constexpr int64_t kRows = 20'000;
  const Philox random(1, 2);
  RowMatrix rows;
  rows.rows = kRows;
  rows.features = 20;
  // Few gradients are large, and the others far below what a double holds beside their sums: plain
  // sums of these, of which some are differences, would depend on the order.
  for (uint64_t i = 0; i < 20 * kRows; ++i) rows.x.push_back(random.Normal(i));
  std::vector<float> gradients, curvatures;
  for (uint64_t i = 0; i < kRows; ++i) {
    gradients.push_back(std::ldexp(random.Normal(20 * kRows + i), i % 8 == 0 ? 50 : 0));
    curvatures.push_back(1 + random.Uniform(40 * kRows + i));
  }
  GrowSettings settings;
  settings.max_depth = 6;
  settings.bins = 6000;
  settings.min_child_weight = 0;
  settings.split_feature_share = 0.6;
  std::vector<float> g = gradients, h = curvatures;
  const auto grow = [&](int threads) {
    ThreadPool pool(threads);
    std::vector<float> said;
    return TreeGrower(rows, settings, &pool).Grow(g, h, 7, &said);
  };
  const Tree expected = grow(1);
  EXPECT_GT(expected.size(), 30);
  for (const int threads : {2, 3, 4, 8}) {
    g = gradients, h = curvatures;
    const Tree tree = grow(threads);
    ASSERT_EQ(tree.size(), expected.size()) << threads;
    for (size_t i = 0; i < tree.size(); ++i) {
      EXPECT_EQ(tree[i].feature, expected[i].feature) << i;
      EXPECT_EQ(tree[i].value, expected[i].value) << i;
      EXPECT_EQ(tree[i].gain, expected[i].gain) << i;
    }
  }
}

// Rows and features that are drawn depend on the seed, and differ from tree to tree.
TEST(Trees, DrawBySeed) {
  const MemoryBatchSource rows = RowsOf(FixtureCase("boosted_2"), true);
  const auto said = [&](uint64_t seed, double share) {
    BoostedTreesSpec spec;
    spec.trees = 5;
    spec.row_share = share;
    spec.seed = seed;
    return Said(*Trained(MakeBoostedTrees(spec, {.layout = rows.layout(), .training = &rows})),
                rows);
  };
  EXPECT_EQ(said(1, 1), said(2, 1));
  EXPECT_NE(said(1, 0.6), said(2, 0.6));
  EXPECT_EQ(said(1, 0.6), said(1, 0.6));
}

// Events that are subtracted, as generators of collisions make them.
TEST(Trees, TakeNegativeWeights) {
  MemoryBatch batch;
  batch.layout.features = 1;
  batch.layout.classes = 2;
  batch.layout.has_weights = true;
  for (int i = 0; i < 90; ++i) {
    batch.features.push_back(static_cast<float>(i % 2));
    // On each side two events of one class, and one of the other which is taken away.
    batch.labels.push_back((i % 2 + (i % 3 == 0 ? 1 : 0)) % 2);
    batch.weights.push_back(i % 3 == 0 ? -0.5F : 1.0F);
  }
  batch.rows = 90;
  const MemoryBatchSource rows(batch);
  BoostedTreesSpec spec;
  spec.trees = 30;
  spec.max_depth = 1;
  spec.min_child_weight = 0;
  const auto learner =
      Trained(MakeBoostedTrees(spec, {.layout = rows.layout(), .training = &rows}));
  const std::vector<double> said = Said(*learner, rows);
  EXPECT_GT(said[0], 0.95);  // the first row: x = 0
  EXPECT_GT(said[3], 0.95);  // the second: x = 1
}

TEST(Trees, StopAndKeepTheBestRound) {
  const Case& recorded = FixtureCase("boosted_2");
  const MemoryBatchSource rows = RowsOf(recorded, true);
  // Labels that have nothing to do with the features: the more is learned the worse.
  MemoryBatch noise;
  noise.layout = rows.layout();
  noise.rows = 80;
  noise.features.resize(400);
  noise.labels.resize(80);
  noise.weights.assign(80, 1);
  std::vector<int64_t> all(80);
  for (size_t i = 0; i < 80; ++i) {
    all[i] = static_cast<int64_t>(i);
    noise.labels[i] = (i * i / 7) % 2;
  }
  rows.Gather(all, {.features = noise.features.data()});
  const MemoryBatchSource validation(noise);
  BoostedTreesSpec spec;
  spec.trees = 50;
  spec.patience = 3;
  const LearnerData data{.layout = rows.layout(), .training = &rows, .validation = &validation};
  const auto learner = MakeBoostedTrees(spec, data);
  StepReport report;
  double best = 1e9;
  int64_t best_round = 0;
  while (learner->Step(&report)) {
    if (!learner->done() && report.validation_loss < best) {
      best = report.validation_loss;
      best_round = report.step;
    }
  }
  EXPECT_LT(learner->step(), 50);
  EXPECT_EQ(learner->step(), best_round + 3);
  EXPECT_EQ(learner->Evaluate(validation).loss, best);
  spec.patience = 0;
  spec.trees = best_round;
  EXPECT_EQ(Said(*learner, rows), Said(*Trained(MakeBoostedTrees(spec, data)), rows));
}

TEST(Trees, WeightsThatLeadNowhereAreRefused) {
  const MemoryBatchSource rows = RowsOf(FixtureCase("boosted_2"), true);
  BoostedTreesSpec spec;
  spec.trees = 2;
  const auto learner =
      Trained(MakeBoostedTrees(spec, {.layout = rows.layout(), .training = &rows}));
  for (const char* name : {"left", "right", "features", "roots"}) {
    std::vector<NamedTensor> weights = learner->Weights();
    for (NamedTensor& weight : weights) {
      if (weight.name == name) weight.tensor.values<int64_t>()[0] = name[0] == 'l' ? 0 : 1'000'000;
    }
    EXPECT_THROW(learner->SetWeights(weights), Error) << name;
  }
  EXPECT_THROW(MakeBoostedTrees({.patience = 1}, {.layout = rows.layout(), .training = &rows}),
               Error);
}

}  // namespace
}  // namespace beamline::engine::testing
