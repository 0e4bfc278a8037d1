// Every learner that is no network goes the whole way: from definition to predictions.
#include "pipeline/learners/registry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/core/philox.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "pipeline/validate.h"
#include "pipeline/violation.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;

// A learner as a definition has it, what its data says beside input and columns, and how good it
// has to be. A learner has a line for each thing that it can do.
struct Line {
  const char* learner;
  const char* data;
  const char* metric;
  double at_least;  // of metrics that are to be small: minus at most
};

constexpr char kClasses[] = "target: kind, exclude: [size]";
constexpr char kNumbers[] = "target: size, exclude: [kind]";

constexpr Line kLines[] = {
    {"linear: {}", kClasses, "accuracy", 0.95},
    {"linear: {penalty: 0.1}", kNumbers, "r2", 0.9},
};

std::string Definition(const Line& line, const std::string& step = "") {
  return std::string(R"(
name: points
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, split: {random: {validation: 0.2, test: 0.2}}, )") +
         line.data + "}\n      " + line.learner + "\n      checkpoint: {every_steps: 1}" + step +
         R"(
  - name: evaluate
    evaluate: {model: train}
  - name: publish
    publish: {model: train, name: points}
)";
}

// Three clouds of points, and a number that depends on place and color.
Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x, y, size;
  std::vector<std::string> color, kind;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % 3);
    const auto at = static_cast<uint64_t>(8 * i);
    x.push_back(4.0 * (k == 1) + random.Normal(at));
    y.push_back(4.0 * (k == 2) + random.Normal(at + 1));
    color.push_back(random.Uniform(at + 2) < 0.5 ? "red" : "blue");
    kind.push_back(std::string(1, static_cast<char>('a' + k)));
    size.push_back(10 + 3 * x.back() - 2 * y.back() + (color.back() == "red" ? 4 : 0) +
                   random.Normal(at + 3));
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::OfStrings("color", color),
                Column::OfStrings("kind", kind), Column::Of("size", size)});
}

class Learners : public ::testing::TestWithParam<Line> {};

TEST_P(Learners, TrainAreMeasuredPublishedAndPredict) {
  Bench bench(Definition(GetParam()));
  const Verdict verdict = Validate(bench.definition());
  EXPECT_EQ(FormatViolations(verdict.violations, "") + FormatViolations(verdict.unimplemented, ""),
            "");
  bench.AddTable("points", Points(300));
  const v1::TaskEnd trained = bench.Run("train");
  ASSERT_EQ(trained.result().failure().message(), "");
  EXPECT_NE(FindLearnerKind(trained.result().card()), nullptr);
  EXPECT_GT(trained.result().card().parameter_count(), 0);
  EXPECT_TRUE(std::isfinite(trained.result().result().metrics().at("validation_loss")));
  const v1::TaskEnd measured = bench.Run("evaluate");
  const double value = testing::Metric(measured, GetParam().metric);
  EXPECT_GE(GetParam().at_least < 0 ? -value : value, GetParam().at_least);
  ASSERT_EQ(bench.Run("publish").result().failure().message(), "");

  const auto predictor = Predictor::Load(bench.ModelBytes("train"));
  ASSERT_TRUE(predictor.ok()) << predictor.status();
  const auto said =
      (*predictor)
          ->Predict(testing::Rows(
              R"([{"x": 4, "y": 0, "color": "red"}, {"x": 0, "y": 4, "color": "blue"}])"));
  ASSERT_TRUE(said.ok()) << said.status();
  ASSERT_EQ(said->size(), 2);
  if (GetParam().data == kClasses) {
    EXPECT_EQ((*said)[0].label(), "b");
    EXPECT_EQ((*said)[1].label(), "c");
    EXPECT_EQ((*said)[1].probabilities_size(), 3);
  } else if (GetParam().data == kNumbers) {
    EXPECT_NEAR((*said)[0].value(), 26, 4);
    EXPECT_NEAR((*said)[1].value(), 2, 4);
  }
}

TEST_P(Learners, GiveTheSameModelForAnyThreadsAndFromAnyCheckpoint) {
  Bench bench(Definition(GetParam()));
  bench.AddTable("points", Points(200));
  ASSERT_EQ(bench.Run("train").result().failure().message(), "");
  const std::string model = bench.ModelBytes("train");
  std::vector<v1::CheckpointFile> checkpoints = bench.sink().checkpoints;
  if (checkpoints.size() > 4) checkpoints.resize(4);
  for (const int threads : {2, 3, 8}) {
    bench.threads = threads;
    ASSERT_EQ(bench.Run("train").result().failure().message(), "");
    EXPECT_EQ(bench.ModelBytes("train"), model) << threads << " threads";
  }
  for (const v1::CheckpointFile& checkpoint : checkpoints) {
    v1::TaskStart start = bench.Start("train");
    start.mutable_attempt()->mutable_checkpoint()->set_digest(std::string(64, 'c'));
    (*start.mutable_input_paths())["checkpoint"] = checkpoint.path();
    bench.sink().events.clear();
    ASSERT_EQ(bench.Run("train", start).result().failure().message(), "");
    EXPECT_EQ(bench.ModelBytes("train"), model) << "from step " << checkpoint.step();
    const bool goes_on = std::any_of(
        bench.sink().events.begin(), bench.sink().events.end(), [](const v1::Event& event) {
          return event.log().text().find("goes on from step") != std::string::npos;
        });
    EXPECT_TRUE(goes_on);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Learners, ::testing::ValuesIn(kLines), [](const auto& info) {
  const std::string learner = info.param.learner;
  return learner.substr(0, learner.find(':')) + std::to_string(info.index);
});

TEST(LearnersTable, HasALineForEveryKindAndEachThingItCanDo) {
  std::set<std::string> lines;
  for (const Line& line : kLines) {
    Bench bench(Definition(line));
    const v1::TrainStep& train = bench.definition().steps(0).train();
    const LearnerKind* kind = FindLearnerKind(train);
    ASSERT_NE(kind, nullptr) << line.learner;
    lines.insert(kind->name + (line.data == kClasses   ? " classes"
                               : line.data == kNumbers ? " numbers"
                                                       : " other"));
  }
  for (const LearnerKind& kind : LearnerKinds()) {
    const LearnerAbilities& can = kind.abilities;
    EXPECT_TRUE(!can.classes || lines.contains(kind.name + " classes")) << kind.name;
    EXPECT_TRUE(!can.numbers || lines.contains(kind.name + " numbers")) << kind.name;
    EXPECT_TRUE(can.classes || can.numbers || lines.contains(kind.name + " other")) << kind.name;
  }
}

TEST(LearnersTable, IsInTheOrderOfFieldsOfTwoMessagesThatAgree) {
  int before = 0;
  for (const LearnerKind& kind : LearnerKinds()) {
    EXPECT_GT(kind.field, before) << kind.name;
    before = kind.field;
    const auto* field = v1::TrainStep::descriptor()->FindFieldByNumber(kind.field);
    ASSERT_NE(field, nullptr);
    EXPECT_EQ(field->name(), kind.name);
  }
}

// Folds, and the training on all of their rows that follows.
TEST(LearnersTable, KindsAreCrossValidated) {
  Bench bench(Definition(kLines[0], "\n    cross_validation: {k_fold: {folds: 3}}"));
  bench.AddTable("points", Points(120));
  v1::TaskStart start = bench.Start("train");
  start.mutable_attempt()->mutable_trial()->set_fold(2);
  const v1::TaskEnd end = bench.Run("train", start);
  ASSERT_EQ(end.result().failure().message(), "");
  EXPECT_GT(end.result().result().metrics().at("validation_accuracy"), 0.9);
  EXPECT_TRUE(end.artifact_paths().contains("predictions"));
}

}  // namespace
}  // namespace beamline::pipeline
