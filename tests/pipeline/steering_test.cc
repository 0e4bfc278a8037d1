// Losses, penalties, optimisers, schedules and averages as definitions: checked, translated, run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "engine/core/philox.h"
#include "pipeline/network.h"
#include "pipeline/parameters.h"
#include "pipeline/text_value.h"
#include "pipeline/validate.h"
#include "pipeline/yaml.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

constexpr char kDefinition[] = R"(
name: clouds
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, target: label, split: {stratified: {validation: 0.2, test: 0.2}}}
      network:
        layers:
          - {name: hidden, dense: {units: 16, activation: sigmoid}}
          - {name: next, dense: {units: 8, activation: relu}}
          - {name: out, dense: {}}
        optimizer: {adam: {learning_rate: 0.02}}
        epochs: 12
  - name: evaluate
    evaluate: {model: train}
)";

// Clouds of points, one for each class.
Table Clouds(int64_t rows, int classes) {
  const engine::Philox random(1, 2);
  std::vector<double> x, y;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    const auto k = static_cast<int>(i % classes);
    const auto at = static_cast<uint64_t>(2 * i);
    x.push_back(2.5 * (k % 3) + random.Normal(at));
    y.push_back(2.5 * (k / 3) - (k % 3) + random.Normal(at + 1));
    label.push_back(std::string(1, static_cast<char>('a' + k)));
  }
  return Table({Column::Of("x", x), Column::Of("y", y), Column::OfStrings("label", label)});
}

// The definition after changes {path: value} in YAML.
v1::PipelineDefinition Changed(const std::string& changes) {
  v1::PipelineDefinition definition = ParseDefinition(kDefinition).definition;
  TextValue value;
  Violations violations;
  EXPECT_TRUE(ReadYaml(changes, &value, &violations)) << changes;
  EXPECT_EQ(
      FormatViolations(ApplyParameters(ToProto(value).struct_value().fields(), &definition), ""),
      "");
  return definition;
}

v1::Dataset Schema(int64_t classes) {
  v1::Dataset dataset;
  dataset.set_row_count(150);
  for (const char* name : {"x", "y", "label"}) {
    v1::Column& column = *dataset.add_columns();
    column.set_name(name);
    v1::ColumnStatistics& statistics = *column.mutable_statistics();
    statistics.set_count(150);
    statistics.set_max(1);
    statistics.set_distinct(100);
    column.set_type(v1::COLUMN_TYPE_FLOAT64);
    if (column.name() != "label") continue;
    column.set_type(v1::COLUMN_TYPE_CATEGORICAL);
    statistics.set_distinct(classes);
    for (int64_t i = 0; i < classes; ++i) {
      statistics.add_top_categories()->set_value(std::string(1, static_cast<char>('a' + i)));
    }
  }
  return dataset;
}

// What is wrong, without the step's path.
std::string Check(const std::string& changes, int64_t classes = 3) {
  const v1::Dataset dataset = Schema(classes);
  ValidateOptions options;
  options.datasets = [&](std::string_view) { return &dataset; };
  options.for_run = true;
  const Verdict verdict = Validate(Changed(changes), options);
  std::string errors =
      FormatViolations(verdict.violations, "") + FormatViolations(verdict.unimplemented, "");
  const std::string path = "steps.train.train.network.";
  for (size_t at = 0; (at = errors.find(path)) != std::string::npos;) errors.erase(at, path.size());
  return errors;
}

// One field of the network.
std::string Network(const std::string& field, const std::string& value) {
  return "{steps.train.train.network." + field + ": " + value + "}";
}

TEST(SteeringTest, AcceptsWhatIsRight) {
  for (const auto& [field, value] : std::vector<std::pair<std::string, std::string>>{
           {"loss", "{hinge: {}}"},
           {"loss", "{focal: {gamma: 0}}"},
           {"loss", "{focal: {}, balanced: true}"},
           {"optimizer", "{lamb: {}, decay_weights_only: true}"},
           {"optimizer", "{rmsprop: {momentum: 0.9, weight_decay: 0.01}}"},
           {"schedule", "{linear: {final_fraction: 0.1}}"},
           {"schedule", "{polynomial: {power: 2.5}, warmup_steps: 10}"},
           {"schedule", "{one_cycle: {}}"},
           {"schedule", "{plateau: {patience: 2}}"},
           {"schedule", "{batch_scaling: square_root, base_batch_size: 64}"},
           {"clip_value", "0.5"},
           {"weight_penalty", "{l1: 0.001, l2: 0.01}"},
           {"averaging", "{exponential: {decay: 0.9}}"},
           {"averaging", "{stochastic: {start_epoch: 5}}"},
           {"layers.next", "{name: next, noise: {deviation: 0.1, masking: 0.2}}"},
           {"layers.next", "{name: next, latent: {beta: 0}}"},
           {"layers.next", "{name: next, activity_penalty: {weight: 0.1, target: 0.2}}"},
       }) {
    EXPECT_EQ(Check(Network(field, value)), "") << field << ": " << value;
    EXPECT_EQ(Check(Network(field, value), 2), "") << field << ": " << value;
  }
}

TEST(SteeringTest, SaysWhatIsWrong) {
  const auto error = [](const std::string& field, const std::string& value) {
    return Check(Network(field, value));
  };
  EXPECT_EQ(error("loss", "{focal: {gamma: -1}}"),
            "loss.focal.gamma: must be from 0 to 100, not -1\n");
  EXPECT_EQ(error("loss", "{triplet: {}}"),
            "layers.2.dense.units: is missing: the loss takes embeddings of any width, such as "
            "32\n");
  EXPECT_EQ(error("optimizer", "{lamb: {beta2: 1}}"),
            "optimizer.lamb.beta2: must be from 0 to 0.9999999999, not 1\n");
  EXPECT_EQ(error("schedule", "{one_cycle: {rising_share: 2}}"),
            "schedule.one_cycle.rising_share: must be from 1e-06 to 0.999999, not 2\n");
  EXPECT_THAT(error("schedule", "{plateau: {factor: 1}}"), HasSubstr("schedule.plateau.factor"));
  EXPECT_EQ(error("averaging", "{}"),
            "averaging: does not say how: give exponential or stochastic\n");
  EXPECT_EQ(error("averaging", "{stochastic: {start_epoch: 13}}"),
            "averaging.stochastic.start_epoch: must be from 1 to the epochs, 12, not 13\n");
  EXPECT_EQ(error("layers.next", "{name: next, noise: {}}"),
            "layers.1.noise: disturbs nothing: give deviation or masking\n");
  EXPECT_EQ(error("layers.next", "{name: next, noise: {masking: 1}}"),
            "layers.1.noise.masking: must be from 0 to below 1, not 1\n");
  EXPECT_EQ(error("layers.next", "{name: next, activity_penalty: {}}"),
            "layers.1.activity_penalty: penalises nothing: give l1, or weight and target\n");
  EXPECT_THAT(Check("{steps.train.train.network.layers.hidden.dense.units: 15, "
                    "steps.train.train.network.layers.next: {name: next, latent: {}}}"),
              HasSubstr("layers.1: takes a mean and a log variance for each number, but its input "
                        "has 15 numbers: give the layer before it 16 units"));
  EXPECT_THAT(Check("{steps.train.train.network.layers.hidden.dense.activation: relu, "
                    "steps.train.train.network.layers.next: "
                    "{name: next, activity_penalty: {weight: 1}}}"),
              HasSubstr("give the layer before it a sigmoid"));
  EXPECT_THAT(Check("{steps.train.train.network.schedule: {plateau: {}}, "
                    "steps.train.train.data.split: {random: {test: 0.2}}}"),
              HasSubstr("schedule.plateau: needs validation rows"));
}

engine::NetworkSpec SpecOf(const std::string& changes, std::vector<std::string> classes) {
  NetworkFacts facts;
  facts.classes = std::move(classes);
  facts.class_rows.assign(facts.classes.size(), 1);
  return ToNetworkSpec(Complete(Changed(changes).steps(0).train().network(), facts), facts);
}

TEST(SteeringTest, TranslatesWithItsDefaults) {
  engine::NetworkSpec spec = SpecOf(Network("loss", "{hinge: {}}"), {"a", "b"});
  EXPECT_EQ(spec.loss.kind, engine::LossKind::kHinge);
  EXPECT_EQ(spec.layers.back().units, 1);
  spec = SpecOf(Network("loss", "{hinge: {}}"), {"a", "b", "c"});
  EXPECT_EQ(spec.loss.kind, engine::LossKind::kMultiClassHinge);
  EXPECT_EQ(spec.layers.back().units, 3);
  spec = SpecOf(Network("loss", "{focal: {}}"), {"a", "b", "c"});
  EXPECT_EQ(spec.loss.kind, engine::LossKind::kFocalCrossEntropy);
  EXPECT_EQ(spec.loss.gamma, 2);
  spec = SpecOf(Network("optimizer", "{lamb: {}}"), {});
  EXPECT_EQ(spec.optimizer.kind, engine::OptimizerKind::kLamb);
  EXPECT_EQ(spec.optimizer.epsilon, 1e-6);
  EXPECT_EQ(spec.optimizer.weight_decay, 0.01);
  spec = SpecOf(Network("averaging", "{stochastic: {}}"), {});
  EXPECT_EQ(spec.averaging.start_epoch, 9);
  spec = SpecOf(Network("averaging", "{stochastic: {start_epoch: 1}}"), {});
  EXPECT_EQ(spec.averaging.start_epoch, 0);
  spec = SpecOf(Network("schedule", "{plateau: {}}"), {});
  EXPECT_EQ(spec.schedule.plateau_patience, 10);
  EXPECT_EQ(spec.schedule.factor, 0.1);
}

// What trains, is evaluated from the model's file as well.
TEST(SteeringTest, TrainsAndEvaluates) {
  for (const int classes : {2, 5}) {
    for (const char* network :
         {"{loss: {hinge: {}}, optimizer: {sgd: {learning_rate: 0.1, momentum: 0.9}}, "
          "averaging: {stochastic: {}}}",
          "{loss: {focal: {}}, schedule: {one_cycle: {}}, clip_value: 0.1, "
          "averaging: {exponential: {decay: 0.9}}}",
          "{optimizer: {lamb: {learning_rate: 0.05}, decay_weights_only: true}, "
          "schedule: {plateau: {patience: 2}}, weight_penalty: {l2: 0.0001}}"}) {
      Bench bench(kDefinition);
      TextValue value;
      Violations violations;
      ASSERT_TRUE(ReadYaml(network, &value, &violations));
      std::string changes = "{";
      v1::PipelineDefinition parsed = bench.definition();
      google::protobuf::Map<std::string, google::protobuf::Value> fields;
      const google::protobuf::Value wanted = ToProto(value);
      for (const auto& [name, field] : wanted.struct_value().fields()) {
        fields["steps.train.train.network." + name] = field;
      }
      ASSERT_EQ(FormatViolations(ApplyParameters(fields, &parsed), ""), "");
      bench.definition() = parsed;
      bench.definition().mutable_steps(1)->mutable_evaluate()->add_metrics("accuracy");
      bench.definition().mutable_steps(1)->mutable_evaluate()->add_metrics("calibration_error");
      bench.AddTable("points", Clouds(600, classes));
      const v1::TaskEnd trained = bench.Run("train");
      ASSERT_EQ(trained.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
          << network << trained.ShortDebugString();
      const v1::TaskEnd measured = bench.Run("evaluate");
      ASSERT_EQ(measured.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
          << network << measured.ShortDebugString();
      const auto& metrics = measured.result().result().evaluation().metrics();
      EXPECT_GT(metrics.at("accuracy"), classes == 2 ? 0.87 : 0.7) << network;
      EXPECT_TRUE(metrics.contains("calibration_error"));
    }
  }
}

constexpr char kAutoencoder[] = R"(
name: codes
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: points
        exclude: [label]
        objective: reconstruct
        split: {random: {validation: 0.2, test: 0.2}}
      network:
        layers:
          - noise: {deviation: 0.05}
          - dense: {units: 16, activation: relu}
          - dense: {units: 4}
          - latent: {beta: 0.05}
          - dense: {units: 16, activation: relu}
          - dense: {}
        optimizer: {adam: {learning_rate: 0.01}}
        epochs: 30
  - name: evaluate
    evaluate: {model: train}
)";

TEST(SteeringTest, VariationalAutoencodersReconstruct) {
  Bench bench(kAutoencoder);
  bench.AddTable("points", Clouds(600, 3));
  const v1::TaskEnd trained = bench.Run("train");
  ASSERT_EQ(trained.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << trained.ShortDebugString();
  const v1::TaskEnd measured = bench.Run("evaluate");
  ASSERT_EQ(measured.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << measured.ShortDebugString();
  const auto& metrics = measured.result().result().evaluation().metrics();
  // Standardised features have a mean square of 1; the loss has the code's cost on top.
  EXPECT_LT(metrics.at("mse"), 0.3);
  EXPECT_GT(metrics.at("loss"), metrics.at("mse") + 0.01);
}

}  // namespace
}  // namespace beamline::pipeline
