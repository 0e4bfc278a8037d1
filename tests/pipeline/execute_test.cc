#include "pipeline/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/digest.h"
#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "pipeline/model_file.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

constexpr char kDefinition[] = R"(
name: blobs
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: points
        target: label
        weight: w
        split: {stratified: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - dense: {units: 8, activation: relu}
          - dropout: {rate: 0.1}
          - batch_norm: {}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.01}}
        batch_size: 16
        epochs: 6
        early_stopping: {metric: auc, patience: 3}
  - name: evaluate
    evaluate: {model: train}
  - name: publish
    publish:
      model: train
      name: blobs
      requirements: [{evaluation: evaluate, metric: auc, at_least: 0.9}]
)";

// Two clouds of points with a text column, a hole here and there, and weights.
Table Points(int64_t rows, int classes = 2) {
  const engine::Philox random(1, 2);
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> weight;
  std::vector<std::string> shade;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % classes);
    const auto at = static_cast<uint64_t>(4 * i);
    x.push_back(2.0 * k + random.Normal(at));
    y.push_back(i % 13 == 5 ? std::nan("") : -1.5 * k + random.Normal(at + 1));
    weight.push_back(i % 10 == 3 ? -0.1 : 1.0);
    shade.push_back(random.Uniform(at + 2) < 0.5 ? "dark" : "light");
    label.push_back(std::string(1, static_cast<char>('a' + k)));
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::Of("w", weight),
                Column::OfStrings("shade", shade), Column::OfStrings("label", label)});
}

v1::AttemptResult::Outcome OutcomeOf(const v1::TaskEnd& end) { return end.result().outcome(); }

TEST(Execute, TrainsEvaluatesAndPublishes) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  const v1::TaskEnd trained = bench.Run("train");
  ASSERT_EQ(OutcomeOf(trained), v1::AttemptResult::OUTCOME_SUCCEEDED) << trained.ShortDebugString();
  const v1::ModelCard& card = trained.result().card();
  EXPECT_THAT(card.classes(), ::testing::ElementsAre("a", "b"));
  EXPECT_THAT(card.features(), ::testing::ElementsAre("x", "y", "shade=dark", "shade=light"));
  EXPECT_TRUE(card.network().loss().has_binary_cross_entropy());
  EXPECT_EQ(card.network().layers(3).dense().units(), 1);
  EXPECT_EQ(trained.result().lineage().run(), "projects/p/runs/r");
  EXPECT_GT(trained.result().result().metrics().at("validation_auc"), 0.9);

  const v1::TaskEnd measured = bench.Run("evaluate");
  ASSERT_EQ(OutcomeOf(measured), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << measured.ShortDebugString();
  const v1::Evaluation& evaluation = measured.result().result().evaluation();
  EXPECT_EQ(evaluation.rows_of(), "points, test");
  EXPECT_EQ(evaluation.row_count(), 80);
  EXPECT_GT(evaluation.metrics().at("auc"), 0.9);
  EXPECT_GT(evaluation.metrics().at("loss"), 0);
  EXPECT_EQ(evaluation.confusion_size(), 4);
  EXPECT_GT(evaluation.roc_size(), 10);
  EXPECT_LE(evaluation.roc_size(), 201);

  const v1::TaskEnd published = bench.Run("publish");
  EXPECT_EQ(OutcomeOf(published), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << published.ShortDebugString();
  EXPECT_EQ(published.result().result().artifacts().count("model"), 1);
  EXPECT_EQ(published.result().card().target(), "label");
}

TEST(Execute, RefusesToPublishWhatIsNotGoodEnough) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  bench.definition().mutable_steps(2)->mutable_publish()->mutable_requirements(0)->set_at_least(
      1.01);
  const v1::TaskEnd end = bench.RunAll();
  EXPECT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_FAILED);
  EXPECT_EQ(end.result().failure().kind(), v1::FAILURE_KIND_USER);
  EXPECT_THAT(end.result().failure().message(), HasSubstr("but at least 1.01 is required"));
}

TEST(Execute, TellsHowItGoes) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  bench.Run("train");
  std::vector<int64_t> steps;
  int64_t total = -1;
  std::map<std::string, int> metrics;
  for (const v1::Event& event : bench.sink().events) {
    EXPECT_EQ(event.step(), "train");
    EXPECT_EQ(event.attempt(), 1);
    EXPECT_GT(event.time().seconds(), 0);
    if (event.has_progress()) {
      steps.push_back(event.progress().step());
      if (total < 0) total = event.progress().total_steps();
      EXPECT_EQ(event.progress().total_steps(), total);
      EXPECT_EQ(event.progress().total_epochs(), 6);
    }
    if (event.has_metric()) ++metrics[event.metric().name()];
  }
  EXPECT_EQ(total, 6 * 15);  // 240 training rows in batches of 16
  ASSERT_GE(steps.size(), 3);
  EXPECT_EQ(steps[0], 0);
  EXPECT_EQ(steps[1], 1);
  EXPECT_EQ(steps.back() % 15, 0);
  EXPECT_GE(metrics["loss"], 1);
  EXPECT_EQ(metrics["validation_auc"], metrics["loss"]);
  EXPECT_EQ(metrics["validation_loss"], metrics["loss"]);
}

TEST(Execute, GivesTheSameModelOnAnyThreadsAndFolders) {
  std::string expected;
  for (const int threads : {1, 2, 4}) {
    Bench bench(kDefinition);
    bench.AddTable("points", Points(400));
    bench.threads = threads;
    bench.Run("train");
    const std::string digest = Sha256Hex(bench.ModelBytes("train"));
    if (expected.empty()) expected = digest;
    EXPECT_EQ(digest, expected) << threads;
  }
}

TEST(Execute, AnAttemptWithAGpuComputesOnItOrSaysWhyNot) {
  for (const bool fast : {false, true}) {
    SCOPED_TRACE(fast);
    const std::string backend = fast ? "cuda/tf32" : "cuda";
    Bench bench(kDefinition);
    bench.AddTable("points", Points(400));
    v1::TaskStart start = bench.Start("train");
    v1::Attempt& attempt = *start.mutable_attempt();
    attempt.add_devices("gpu0");
    if (fast) {
      v1::TrainStep& train = *attempt.mutable_definition()->mutable_steps(0)->mutable_train();
      train.mutable_network()->set_reproducible(v1::REPRODUCIBILITY_FAST);
    }
    v1::Device& gpu = *start.add_gpus();
    gpu.set_id("gpu0");
    gpu.set_model("H100");
    const v1::TaskEnd end = bench.Run("train", start);
    const auto names = engine::AvailableBackends();
    if (std::find(names.begin(), names.end(), backend) != names.end()) {
      ASSERT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.ShortDebugString();
      EXPECT_EQ(end.result().lineage().backend(), backend);
      EXPECT_EQ(end.result().lineage().hardware(), "H100 (gpu0), 1 processor thread");
      continue;
    }
    ASSERT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_FAILED);
    EXPECT_EQ(end.result().failure().kind(), v1::FAILURE_KIND_INFRASTRUCTURE)
        << "another machine may have what this one lacks";
    EXPECT_EQ(end.result().failure().field(), "steps.train.resources");
    const std::string& message = end.result().failure().message();
    EXPECT_TRUE(message.starts_with("device gpu0 cannot be used: ")) << message;
    EXPECT_NE(message.find('"' + backend + '"'), message.npos) << message;
  }
}

// Of a model whose training was stopped `stops` times, on changing numbers of threads.
std::string DigestWithStops(size_t stops, bool in_memory = true) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  std::string checkpoint;
  for (size_t i = 0; i <= stops; ++i) {
    bench.ResetStop();
    bench.threads = static_cast<int>(1 + i % 3);
    bench.sink().on_event = [&, i](const v1::Event& event) {
      if (i < stops && event.progress().step() >= 1) {
        bench.stop().Ask(StopToken::Request::kCheckpointAndStop);
      }
    };
    v1::TaskStart start = bench.Start("train");

    start.mutable_attempt()->set_number(static_cast<int>(i) + 1);
    if (!in_memory) start.mutable_attempt()->mutable_resources()->set_memory_bytes(1);
    if (!checkpoint.empty()) {
      start.mutable_attempt()->mutable_checkpoint()->set_digest(std::string(64, 'c'));
      (*start.mutable_input_paths())["checkpoint"] = checkpoint;
    }
    const size_t before = bench.sink().checkpoints.size();
    const v1::TaskEnd end = bench.Run("train", start);
    if (i == stops) {
      EXPECT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.ShortDebugString();
      break;
    }
    EXPECT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_RELEASED);
    EXPECT_EQ(bench.sink().checkpoints.size(), before + 1);
    checkpoint = bench.sink().checkpoints.back().path();
  }
  return Sha256Hex(bench.ModelBytes("train"));
}

TEST(Execute, GivesTheSameModelHoweverOftenItIsStopped) {
  const std::string undisturbed = DigestWithStops(0);
  EXPECT_EQ(DigestWithStops(1), undisturbed);
  EXPECT_EQ(DigestWithStops(4), undisturbed);
  EXPECT_EQ(DigestWithStops(2, /*in_memory=*/false), undisturbed);
}

TEST(Execute, GivesTheSameModelFromAnyCheckpoint) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  bench.definition().mutable_steps(0)->mutable_train()->mutable_checkpoint()->set_every_steps(7);
  ASSERT_EQ(OutcomeOf(bench.Run("train")), v1::AttemptResult::OUTCOME_SUCCEEDED);
  const std::string expected = bench.ModelBytes("train");
  const std::vector<v1::CheckpointFile> checkpoints = bench.sink().checkpoints;
  ASSERT_GE(checkpoints.size(), 3);
  for (const v1::CheckpointFile& checkpoint : checkpoints) {
    v1::TaskStart start = bench.Start("train");
    start.mutable_attempt()->mutable_checkpoint()->set_digest(std::string(64, 'c'));
    (*start.mutable_input_paths())["checkpoint"] = checkpoint.path();
    ASSERT_EQ(OutcomeOf(bench.Run("train", start)), v1::AttemptResult::OUTCOME_SUCCEEDED);
    EXPECT_TRUE(bench.ModelBytes("train") == expected) << checkpoint.step();
  }
}

TEST(Execute, StartsAnewFromADamagedCheckpointAndSaysSo) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  bench.Run("train");
  const std::string expected = bench.ModelBytes("train");
  v1::TaskStart start = bench.Start("train");
  const std::string path = start.work_folder() + "/broken";
  ASSERT_TRUE(WriteFileAtomically(path, "not a checkpoint").ok());
  start.mutable_attempt()->mutable_checkpoint()->set_digest(std::string(64, 'c'));
  (*start.mutable_input_paths())["checkpoint"] = path;
  bench.sink().events.clear();
  ASSERT_EQ(OutcomeOf(bench.Run("train", start)), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_TRUE(bench.ModelBytes("train") == expected);
  EXPECT_TRUE(std::any_of(bench.sink().events.begin(), bench.sink().events.end(),
                          [](const v1::Event& event) {
                            return event.log().text().find("cannot be used") != std::string::npos;
                          }));
}

TEST(Execute, StopsWhenAsked) {
  Bench bench(kDefinition);
  bench.AddTable("points", Points(400));
  bench.sink().on_event = [&](const v1::Event& event) {
    if (event.progress().step() == 1) bench.stop().Ask(StopToken::Request::kStop);
  };
  EXPECT_EQ(OutcomeOf(bench.Run("train")), v1::AttemptResult::OUTCOME_CANCELLED);
  EXPECT_TRUE(bench.sink().checkpoints.empty());
}

TEST(Execute, SaysWhoIsToBlame) {
  {
    Bench bench(kDefinition);
    const v1::TaskEnd end = bench.Run("train");  // No table was given.
    EXPECT_EQ(end.result().failure().kind(), v1::FAILURE_KIND_INFRASTRUCTURE);
  }
  {
    Bench bench(kDefinition);
    Table table = Points(400);
    std::vector<Column> columns = table.columns();
    columns[4] = Column::OfStrings("label", std::vector<std::string>(400, "a"));
    bench.AddTable("points", Table(columns));
    bench.definition()
        .mutable_steps(0)
        ->mutable_train()
        ->mutable_data()
        ->mutable_split()
        ->mutable_random()
        ->set_validation(0.2);

    const v1::TaskEnd end = bench.Run("train");
    EXPECT_EQ(end.result().failure().kind(), v1::FAILURE_KIND_USER) << end.ShortDebugString();
    EXPECT_EQ(end.result().failure().field(), "steps.train.train.data.target");
  }
  {
    Bench bench(kDefinition);
    bench.AddTable("points", Points(400));
    bench.definition()
        .mutable_steps(0)
        ->mutable_train()
        ->mutable_network()
        ->mutable_optimizer()
        ->mutable_sgd()
        ->set_learning_rate(1e30);
    const v1::TaskEnd end = bench.Run("train");
    EXPECT_EQ(end.result().failure().kind(), v1::FAILURE_KIND_USER) << end.ShortDebugString();
    EXPECT_THAT(end.result().failure().message(), HasSubstr("lower the learning rate"));
  }
  {
    Bench bench(kDefinition);
    v1::TaskStart start = bench.Start("train");
    start.mutable_attempt()->set_step("nowhere");
    EXPECT_EQ(bench.Run("train", start).result().failure().kind(), v1::FAILURE_KIND_USER);
  }
}

TEST(Execute, LearnsSeveralClassesWithEmbeddings) {
  Bench bench(R"(
name: three
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: points
        target: label
        exclude: [w]
        transforms: [{impute: {indicator: true}}, {ordinal: {}}, {standardize: {}}]
        split: {modulo: {divisor: 5, validation: 0.2}}
      network:
        layers:
          - {name: shades, embedding: {dimension: 2}}
          - {name: all, inputs: [features, shades], concat: {}}
          - {name: a, dense: {units: 16, activation: tanh}}
          - {name: b, dense: {units: 16, activation: relu}}
          - {name: sum, inputs: [a, b], add: {}}
          - {name: out, dense: {}}
        loss: {cross_entropy: {label_smoothing: 0.01}, balanced: true}
        optimizer: {adam: {learning_rate: 0.02}}
        epochs: 20
  - name: evaluate
    evaluate: {model: train, metrics: [accuracy, f1]}
)");
  bench.AddTable("points", Points(600, 3));
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.ShortDebugString();
  const v1::Evaluation& evaluation = end.result().result().evaluation();
  EXPECT_GT(evaluation.metrics().at("accuracy"), 0.7);
  EXPECT_EQ(evaluation.metrics().size(), 2);
  EXPECT_EQ(evaluation.confusion_size(), 9);
}

TEST(Execute, LearnsNumbers) {
  Bench bench(R"(
name: line
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, target: y, split: {random: {validation: 0.1, test: 0.2}}}
      network:
        layers: [{dense: {units: 16, activation: tanh}}, {dense: {}}]
        optimizer: {adam: {learning_rate: 0.01}}
        epochs: 60
        early_stopping: {}
  - name: evaluate
    evaluate: {model: train}
)");
  const engine::Philox random(7, 1);
  std::vector<double> x;
  std::vector<double> y;
  for (uint64_t i = 0; i < 500; ++i) {
    x.push_back(4 * random.Uniform(i) - 2);
    y.push_back(1000 + 300 * x.back());
  }
  bench.AddTable("points", Table({Column::Of("x", x), Column::Of("y", y)}));
  const v1::TaskEnd end = bench.RunAll();
  ASSERT_EQ(OutcomeOf(end), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.ShortDebugString();
  EXPECT_LT(end.result().result().metrics().at("rmse"), 30);
  EXPECT_GT(end.result().result().metrics().at("r2"), 0.99);
}

}  // namespace
}  // namespace beamline::pipeline
