// Losses that compare rows: embeddings from a definition to predictions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "google/protobuf/util/json_util.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;

constexpr char kDefinition[] = R"(
name: near
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, target: kind, split: {stratified: {validation: 0.2, test: 0.3}}}
      network:
        layers:
          - dense: {units: 32, activation: relu}
          - dense: {units: 4}
        loss: {triplet: {margin: 0.5}}
        optimizer: {adam: {learning_rate: 0.01}}
        batch_size: 64
        epochs: 20
        early_stopping: {metric: recall_at_1, patience: 20}
  - name: evaluate
    evaluate: {model: train}
)";

// Three kinds by the product of two coordinates, hidden among four that say nothing.
Table Points(int rows) {
  const engine::Philox random(1, 2);
  std::vector<std::vector<double>> x(6);
  std::vector<std::string> kind;
  for (int i = 0; i < rows; ++i) {
    for (size_t k = 0; k < x.size(); ++k) {
      const auto at = static_cast<uint64_t>(i) * x.size() + k;
      x[k].push_back(static_cast<double>(random.Normal(at)));
    }
    const double product = x[0].back() * x[1].back();
    kind.push_back(product > 0.4 ? "high" : product < -0.4 ? "low" : "middle");
  }
  std::vector<Column> columns = {Column::OfStrings("kind", kind)};
  for (size_t k = 0; k < x.size(); ++k) {
    columns.push_back(Column::Of("x" + std::to_string(k), x[k]));
  }
  return Table(std::move(columns));
}

TEST(EmbeddingTest, RowsOfOneKindComeToLieTogether) {
  for (const char* loss : {"triplet", "info_nce"}) {
    Bench bench(kDefinition);
    if (std::string(loss) == "info_nce") {
      bench.definition()
          .mutable_steps(0)
          ->mutable_train()
          ->mutable_network()
          ->mutable_loss()
          ->mutable_info_nce();
    }
    bench.AddTable("points", Points(1500));
    const v1::TaskEnd end = bench.RunAll();
    ASSERT_EQ(end.result().failure().message(), "");
    const v1::Evaluation& evaluation = end.result().result().evaluation();
    EXPECT_EQ(evaluation.row_count(), 450);
    // Neighbours in the table itself are of one kind in half of the cases.
    EXPECT_GT(evaluation.metrics().at("recall_at_1"), 0.75) << loss;
    EXPECT_GE(evaluation.metrics().at("recall_at_5"), evaluation.metrics().at("recall_at_1"));

    const auto predictor = Predictor::Load(bench.ModelBytes("train")).value();
    google::protobuf::ListValue list;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(
                    R"([{"x0": 1, "x1": 1, "x2": 0, "x3": 0, "x4": 0, "x5": 0},
                        {"x0": -1, "x1": -1.2, "x2": 1, "x3": 0, "x4": 0, "x5": 0},
                        {"x0": 1, "x1": -1, "x2": 0, "x3": 0, "x4": 0, "x5": 0}])",
                    &list)
                    .ok());
    google::protobuf::RepeatedPtrField<google::protobuf::Struct> rows;
    for (const auto& value : list.values()) *rows.Add() = value.struct_value();
    const auto predictions = predictor->Predict(rows).value();
    const auto dot = [&](size_t a, size_t b) {
      double sum = 0;
      for (int k = 0; k < 4; ++k) sum += predictions[a].embedding(k) * predictions[b].embedding(k);
      return sum;
    };
    ASSERT_EQ(predictions[0].embedding_size(), 4);
    EXPECT_NEAR(dot(0, 0), 1, 1e-5);
    EXPECT_GT(dot(0, 1), dot(0, 2));
  }
}

}  // namespace
}  // namespace beamline::pipeline
