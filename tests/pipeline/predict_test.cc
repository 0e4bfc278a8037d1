#include "pipeline/predict.h"

#include <gtest/gtest.h>

#include <thread>

#include "google/protobuf/util/json_util.h"
#include "pipeline/model_file.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;

constexpr char kDefinition[] = R"(
name: shop
inputs: {sales: {dataset: d}}
steps:
  - name: train
    train:
      data:
        input: sales
        target: bought
        exclude: [id]
        transforms: [{columns: [price], impute: {}}, {one_hot: {}}, {standardize: {}}]
      network:
        layers: [{dense: {units: 4, activation: relu}}, {dense: {}}]
        optimizer: {adam: {learning_rate: 0.05}}
        epochs: 30
  - name: evaluate
    evaluate: {model: train, input: sales, metrics: [accuracy]}
)";

class PredictTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    Bench bench(kDefinition);
    std::vector<int64_t> id;
    std::vector<double> price;
    std::vector<int64_t> rooms;
    std::vector<std::string> color;
    std::vector<std::string> bought;
    for (int64_t i = 0; i < 120; ++i) {
      id.push_back(i);
      price.push_back(static_cast<double>(i % 12));
      rooms.push_back(i % 5);
      color.push_back(i % 3 == 0 ? "red" : "blue");
      bought.push_back(i % 12 < 6 ? "no" : "yes");
    }
    bench.AddTable("sales", Table({Column::Of("id", id), Column::Of("price", price),
                                   Column::Of("rooms", rooms), Column::OfStrings("color", color),
                                   Column::OfStrings("bought", bought)}));
    const v1::TaskEnd end = bench.RunAll();
    ASSERT_EQ(end.result().failure().message(), "");
    EXPECT_GT(end.result().result().metrics().at("accuracy"), 0.95);
    model_ = bench.ModelBytes("train");
    predictor_ = Predictor::Load(model_).value();
  }
  static void TearDownTestSuite() { predictor_.reset(); }

  // Rows as a JSON list.
  static google::protobuf::RepeatedPtrField<google::protobuf::Struct> Rows(
      const std::string& json) {
    google::protobuf::ListValue list;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json, &list).ok()) << json;
    google::protobuf::RepeatedPtrField<google::protobuf::Struct> rows;
    for (const auto& value : list.values()) *rows.Add() = value.struct_value();
    return rows;
  }
  static std::string Error(const std::string& json) {
    const auto predictions = predictor_->Predict(Rows(json));
    EXPECT_EQ(predictions.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(predictions.status().message());
  }

  inline static std::string model_;
  inline static std::unique_ptr<Predictor> predictor_;
};

TEST_F(PredictTest, AnswersRows) {
  const auto predictions = predictor_->Predict(Rows(R"([{"price": 1, "rooms": 2, "color": "red"},
               {"price": 11, "rooms": 2, "color": "blue", "id": 7, "bought": "no"},
               {"price": null, "rooms": 2, "color": "green"}])"));
  ASSERT_TRUE(predictions.ok()) << predictions.status();
  ASSERT_EQ(predictions->size(), 3);
  EXPECT_EQ((*predictions)[0].label(), "no");
  EXPECT_EQ((*predictions)[1].label(), "yes");
  EXPECT_NEAR((*predictions)[2].probabilities(0) + (*predictions)[2].probabilities(1), 1, 1e-6);
  EXPECT_TRUE(predictor_->Predict({}).value().empty());
}

TEST_F(PredictTest, NamesRowAndColumn) {
  EXPECT_EQ(Error(R"([{"price": 1, "rooms": 2, "color": "red"}, {"price": 1, "color": "red"}])"),
            "row 2, column \"rooms\": is missing: give a value, or null if it is unknown");
  EXPECT_EQ(Error(R"([{"price": "1", "rooms": 2, "color": "red"}])"),
            "row 1, column \"price\": expected a number");
  EXPECT_EQ(Error(R"([{"price": 1, "rooms": 2.5, "color": "red"}])"),
            "row 1, column \"rooms\": expected a whole number");
  EXPECT_EQ(Error(R"([{"price": 1, "rooms": 2, "color": 3}])"),
            "row 1, column \"color\": expected text");
  EXPECT_EQ(Error(R"([{"price": 1, "rooms": 2, "color": "red", "colour": "red"}])"),
            "row 1, column \"colour\": the model has no such column (did you mean \"color\"?)");
  const std::string missing = Error(R"([{"price": 1, "rooms": null, "color": "red"}])");
  EXPECT_NE(missing.find("row 1"), std::string::npos) << missing;
  EXPECT_NE(missing.find("rooms"), std::string::npos) << missing;
  google::protobuf::RepeatedPtrField<google::protobuf::Struct> many;
  for (int i = 0; i <= kMaxPredictRows; ++i) many.Add();
  EXPECT_EQ(predictor_->Predict(many).status().message(),
            "there are 10001 rows; at most 10000 are answered at once");
}

TEST_F(PredictTest, AnswersManyCallersAtOnce) {
  const auto rows = Rows(R"([{"price": 3, "rooms": 2, "color": "red"}])");
  const double expected = predictor_->Predict(rows).value()[0].probabilities(0);
  std::vector<std::thread> threads;
  std::vector<int> same(4);
  for (int& count : same) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        count += predictor_->Predict(rows).value()[0].probabilities(0) == expected ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : same) EXPECT_EQ(count, 50);
}

TEST_F(PredictTest, ARowHasTheSameAnswerInAnyBatch) {
  std::string json = "[";
  for (int i = 0; i < 100; ++i) {
    json += std::string(i > 0 ? "," : "") + R"({"price": )" + std::to_string(i % 12) +
            R"(, "rooms": 1, "color": "red"})";
  }
  const auto all = predictor_->Predict(Rows(json + "]")).value();
  for (int i = 0; i < 12; ++i) {
    const auto one = predictor_->Predict(
        Rows(R"([{"price": )" + std::to_string(i) + R"(, "rooms": 1, "color": "red"}])"));
    EXPECT_EQ(one.value()[0].probabilities(1), all[static_cast<size_t>(i)].probabilities(1));
  }
}

TEST_F(PredictTest, RefusesDamagedModels) {
  EXPECT_FALSE(Predictor::Load("").ok());
  EXPECT_FALSE(Predictor::Load(model_.substr(0, model_.size() - 4)).ok());
  ModelFile model = DecodeModel(model_).value();
  model.tensors.pop_back();
  EXPECT_EQ(Predictor::Load(EncodeModel(model).value()).status().code(),
            absl::StatusCode::kInvalidArgument);
  model = DecodeModel(model_).value();
  model.card.clear_feature_columns();
  EXPECT_FALSE(Predictor::Load(EncodeModel(model).value()).ok());
  model = DecodeModel(model_).value();
  model.card.mutable_feature_columns(0)->mutable_steps(0)->clear_a();
  EXPECT_FALSE(Predictor::Load(EncodeModel(model).value()).ok());
  model = DecodeModel(model_).value();
  model.card.mutable_network()->mutable_layers(0)->mutable_dense()->set_units(2000000000);
  EXPECT_FALSE(Predictor::Load(EncodeModel(model).value()).ok());
}

}  // namespace
}  // namespace beamline::pipeline
