// A network that keeps more than the step's memory computes it again, and is the same model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "engine/core/philox.h"
#include "pipeline/validate.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;
using ::testing::Not;

// 24 layers of 64 units: 3000 rows keep 24 * 3000 * 64 * 4 bytes, 17.6 MiB, and less for what is
// beside.
std::string Definition() {
  std::vector<std::string> layers(24, "{dense: {units: 64, activation: tanh}}");
  return absl::StrCat(R"(
name: deep
seed: 3
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, target: label}
      network: {layers: [)",
                      absl::StrJoin(layers, ", "), R"(, {dense: {}}], epochs: 2, batch_size: 3000}
)");
}

Table Points(int64_t rows) {
  const engine::Philox random(1, 2);
  std::vector<double> x;
  std::vector<std::string> label;
  for (int64_t i = 0; i < rows; ++i) {
    x.push_back(random.Normal(static_cast<uint64_t>(i)));
    label.push_back(x.back() > 0.3 ? "above" : "below");
  }
  return Table({Column::Of("x", x), Column::OfStrings("label", label)});
}

// Points of many columns more, which do not matter.
Table WidePoints(int64_t rows, int columns) {
  const engine::Philox random(3, 4);
  const Table points = Points(rows);
  std::vector<Column> wide = points.columns();
  for (int k = 0; k < columns; ++k) {
    std::vector<float> values;
    for (int64_t i = 0; i < rows; ++i) {
      values.push_back(static_cast<float>(random.Normal(static_cast<uint64_t>(k * rows + i))));
    }
    wide.push_back(Column::Of(absl::StrCat("w", k), std::move(values)));
  }
  return Table(std::move(wide));
}

// The model's digest; what was said on the way goes to `said`.
std::string TrainWith(const std::string& definition, const Table& points, int64_t memory_bytes,
                      std::string* said) {
  Bench bench(definition);
  bench.AddTable("points", points);
  v1::TaskStart start = bench.Start("train");
  start.mutable_attempt()->mutable_resources()->set_memory_bytes(memory_bytes);
  const v1::TaskEnd end = bench.Run("train", start);
  EXPECT_EQ(end.result().failure().message(), "");
  for (const v1::Event& event : bench.sink().events)
    absl::StrAppend(said, event.log().text(), "\n");
  return Sha256Hex(bench.ModelBytes("train"));
}

TEST(Recompute, FitsTheMemoryOfTheStep) {
  std::string plenty;
  std::string little;
  const std::string kept = TrainWith(Definition(), Points(3000), int64_t{1} << 30, &plenty);
  EXPECT_THAT(plenty, Not(HasSubstr("computed again")));
  EXPECT_EQ(TrainWith(Definition(), Points(3000), int64_t{16} << 20, &little), kept);
  EXPECT_THAT(little, HasSubstr("activations are computed again, in 2 parts"));
  EXPECT_THAT(little, Not(HasSubstr("does not suffice")));
}

// What training takes would just fit, but not beside 2.3 MiB of features.
TEST(Recompute, LeavesRoomForFeaturesInMemory) {
  const Table points = WidePoints(3000, 200);
  std::string plenty;
  std::string little;
  const std::string kept = TrainWith(Definition(), points, int64_t{1} << 30, &plenty);
  const std::string before = "peak memory ";
  ASSERT_THAT(plenty, HasSubstr(before));
  const int64_t peak = std::stoll(plenty.substr(plenty.find(before) + before.size()));
  EXPECT_EQ(TrainWith(Definition(), points, (peak + 1) << 20, &little), kept);
  EXPECT_THAT(little, HasSubstr("features of 3 MiB in memory"));
  EXPECT_THAT(little, HasSubstr("activations are computed again, in 2 parts"));
}

// Weights that alone are larger: nothing helps, and that is said.
TEST(Recompute, SaysThatNothingHelps) {
  std::string said;
  TrainWith(R"(
name: wide
inputs: {points: {dataset: d}}
steps:
  - name: train
    train:
      data: {input: points, target: label}
      network:
        layers: [{dense: {units: 2000}}, {dense: {units: 2000}}, {dense: {}}]
        epochs: 1
        batch_size: 8
)",
            Points(16), int64_t{16} << 20, &said);
  EXPECT_THAT(said, HasSubstr("the memory of the step does not suffice: training takes "));
}

}  // namespace
}  // namespace beamline::pipeline
