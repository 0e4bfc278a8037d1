// A target at each step of a sequence: from a table to predictions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/digest.h"
#include "engine/core/philox.h"
#include "engine/data/columnar.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::Each;
using ::testing::HasSubstr;
using testing::Metric;
using testing::Rows;

constexpr char kSteps[] = R"(
name: running
seed: 1
inputs: {table: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: table
        objective: each_step
        target: sum
        weight: weight
        features: [x]
        sequences: {by: who, max_steps: 7}
        split: {random: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - memory: {kind: dnc, units: 16, slots: 4, width: 4, sequence: true}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.02}}
        clip_norm: 5
        epochs: 40
  - name: evaluate
    evaluate: {model: train}
)";

// Sequences of 2 to 7 rows, one after the other; the target of each step says whether the sum of x
// so far is above 0. Every fourth sequence's first step says nothing true, and weighs nothing.
Table Sums(int sequences) {
  const engine::Philox random(6, 6);
  std::vector<double> x, weight;
  std::vector<std::string> who, sum;
  for (int i = 0; i < sequences; ++i) {
    double so_far = 0;
    for (int step = 0; step < 2 + i % 6; ++step) {
      x.push_back(random.Normal(static_cast<uint64_t>(10 * i + step)));
      so_far += x.back();
      const bool wrong = i % 4 == 0 && step == 0;
      weight.push_back(wrong ? 0 : 1);
      who.push_back("s" + std::to_string(i));
      sum.push_back((so_far > 0) != wrong ? "above" : "below");
    }
  }
  return Table({Column::Of("x", x), Column::OfStrings("who", who), Column::OfStrings("sum", sum),
                Column::Of("weight", weight)});
}

TEST(EachStepTest, LearnsClassesAndLeavesOutWhatWeighsNothing) {
  Bench bench(kSteps);
  bench.AddTable("table", Sums(300));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_GT(Metric(end, "accuracy"), 0.93);
  EXPECT_NEAR(Metric(end, "loss"), Metric(end, "log_loss"), 1e-4);
  const v1::Evaluation& evaluation = end.result().result().evaluation();
  double counted = 0;  // by weight
  for (const double cell : evaluation.confusion()) counted += cell;
  EXPECT_GT(evaluation.row_count(), 60 * 2);
  EXPECT_LT(counted, static_cast<double>(evaluation.row_count()));

  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto predictions = predictor->Predict(Rows(R"([{"x": [2, -1, -4]}, {"x": [-2]}])")).value();
  ASSERT_EQ(predictions[0].steps_size(), 3);
  ASSERT_EQ(predictions[1].steps_size(), 1);
  EXPECT_EQ(predictions[0].steps(0).label(), "above");
  EXPECT_EQ(predictions[0].steps(2).label(), "below");
  EXPECT_EQ(predictions[1].steps(0).label(), "below");
  EXPECT_EQ(predictions[0].label(), "");
  EXPECT_EQ(predictions[0].steps(1).probabilities_size(), 2);
}

// Whether the rows fit in memory or not, and however many threads: the same model.
TEST(EachStepTest, GivesTheSameBitsFromMemoryAndFromTheTable) {
  std::vector<std::string> digests;
  for (const bool in_memory : {true, false}) {
    Bench bench(kSteps);
    bench.threads = in_memory ? 1 : 3;
    bench.AddTable("table", Sums(60));
    bench.definition().mutable_steps(0)->mutable_train()->mutable_network()->set_epochs(2);
    v1::TaskStart start = bench.Start("train");
    if (!in_memory) start.mutable_attempt()->mutable_resources()->set_memory_bytes(1);
    const v1::TaskEnd end = bench.Run("train", start);
    EXPECT_EQ(end.result().failure().message(), "");
    digests.push_back(Sha256Hex(bench.ModelBytes("train")));
  }
  EXPECT_THAT(digests, Each(digests.front()));
}

// Of every row of the sequences that a fold holds out, once.
TEST(EachStepTest, FoldsLeaveAPredictionOfEachStep) {
  Bench bench(kSteps);
  bench.AddTable("table", Sums(60));
  v1::Step& step = *bench.definition().mutable_steps(0);
  step.mutable_cross_validation()->mutable_k_fold()->set_folds(3);
  step.mutable_train()->mutable_network()->set_epochs(1);
  step.mutable_train()->mutable_data()->clear_split();
  std::vector<int64_t> rows;
  for (int fold = 1; fold <= 3; ++fold) {
    v1::TaskStart start = bench.Start("train");
    start.mutable_attempt()->mutable_trial()->set_fold(fold);
    const v1::TaskEnd end = bench.Run("train", start);
    EXPECT_EQ(end.result().failure().message(), "");
    const auto said = engine::data::OpenColumnar(end.artifact_paths().at("predictions")).table;
    for (int64_t i = 0; i < said.rows(); ++i) rows.push_back(said.Get("row").Integer(i));
  }
  std::sort(rows.begin(), rows.end());
  ASSERT_EQ(rows.size(), 270U);  // ten of each length from 2 to 7
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i], static_cast<int64_t>(i));
}

// Numbers in place of classes, over windows, each of whose rows is predicted once.
TEST(EachStepTest, LearnsNumbersOverWindows) {
  Bench bench(kSteps);
  v1::TrainingData& data = *bench.definition().mutable_steps(0)->mutable_train()->mutable_data();
  data.clear_weight();
  data.set_target("before");
  data.mutable_windows()->set_steps(8);
  data.mutable_split()->mutable_ordered()->set_test(0.2);
  std::vector<double> x, before;
  for (int i = 0; i < 800; ++i) {
    before.push_back(i == 0 ? 0 : 10 * x.back() + 5);
    x.push_back(engine::Philox(3, 3).Normal(static_cast<uint64_t>(i)));
  }
  bench.AddTable("table", Table({Column::Of("x", x), Column::Of("before", before)}));
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_LT(Metric(end, "rmse"), 5);  // of 10; nothing tells the first of eight
  EXPECT_EQ(end.result().result().evaluation().row_count(), 160);
  const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
  const auto predictions = predictor->Predict(Rows(R"([{"x": [1, -1, 0, 0, 1, 1, 0, -1]}])"));
  ASSERT_EQ(predictions.value()[0].steps_size(), 8);
  EXPECT_NEAR(predictions.value()[0].steps(1).value(), 15, 3);
  EXPECT_NEAR(predictions.value()[0].steps(2).value(), -5, 3);
  EXPECT_THAT(predictor->Predict(Rows(R"([{"x": [1]}])")).status().message(),
              HasSubstr("the model sees 8 at once"));
}

}  // namespace
}  // namespace beamline::pipeline
