// The real data sets, where they are on this machine: what their descriptions say of them must be
// what is read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"
#include "engine/data/split.h"
#include "engine/data/target.h"
#include "engine/data/transform.h"
#include "pipeline/ingest/ingest.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::ColumnType;
using engine::data::Dataset;
using engine::data::Table;
using ::testing::ElementsAre;
using ::testing::Pair;

std::filesystem::path Root() {
  const char* const folder = std::getenv("BEAMLINE_DATASETS");
  return folder != nullptr ? std::filesystem::path(folder)
                           : std::filesystem::path(BEAMLINE_SOURCE_DIR) / "../shared/datasets";
}

class RealDataTest : public ::testing::Test {
 protected:
  // Ingests the file into dataset_, or skips the test.
  void Read(const std::string& name) {
    const std::filesystem::path path = Root() / name;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not on this machine";
    IngestOptions options;
    options.threads = 2;
    auto got = Ingest(path.string(), name, folder_.path() + "/out", options);
    ASSERT_TRUE(got.ok()) << got.status();
    dataset_ = std::move(got->dataset);
  }
  const Table& table() const { return dataset_.table; }
  std::map<std::string, int64_t> Counts(const std::string& name) const {
    std::map<std::string, int64_t> counts;
    const Column& column = table().Get(name);
    for (int64_t row = 0; row < column.rows(); ++row) ++counts[column.Text(row)];
    return counts;
  }
  int64_t Missing() const {
    int64_t sum = 0;
    for (const auto& statistics : dataset_.statistics) sum += statistics.missing;
    return sum;
  }

  TemporaryDirectory folder_;
  Dataset dataset_;
};

TEST_F(RealDataTest, Wdbc) {
  Read("wdbc/wdbc.data");
  if (IsSkipped()) return;
  EXPECT_EQ(table().rows(), 569);
  EXPECT_EQ(table().columns().size(), 32u);
  EXPECT_EQ(table().Get("c0").type(), ColumnType::kInt64);
  EXPECT_THAT(Counts("c1"), ElementsAre(Pair("B", 357), Pair("M", 212)));
  EXPECT_EQ(Missing(), 0);
}

TEST_F(RealDataTest, Iris) {
  Read("iris/iris.data");
  if (IsSkipped()) return;
  EXPECT_EQ(table().columns().size(), 5u);
  EXPECT_THAT(Counts("c4"), ElementsAre(Pair("Iris-setosa", 50), Pair("Iris-versicolor", 50),
                                        Pair("Iris-virginica", 50)));
}

TEST_F(RealDataTest, MnistImages) {
  Read("mnist/t10k-images-idx3-ubyte.gz");
  if (IsSkipped()) return;
  const Column& image = table().Get("image");
  EXPECT_EQ(image.rows(), 10'000);
  EXPECT_THAT(image.item_shape(), ElementsAre(28, 28));
  EXPECT_EQ(image.type(), ColumnType::kUint8);
  EXPECT_EQ(dataset_.statistics[0].max, 255);
  EXPECT_NEAR(dataset_.statistics[0].mean / 255, 0.1325, 5e-5);
}

TEST_F(RealDataTest, MnistLabels) {
  Read("mnist/train-labels-idx1-ubyte.gz");
  if (IsSkipped()) return;
  EXPECT_THAT(Counts("label"),
              ElementsAre(Pair("0", 5923), Pair("1", 6742), Pair("2", 5958), Pair("3", 6131),
                          Pair("4", 5842), Pair("5", 5421), Pair("6", 5918), Pair("7", 6265),
                          Pair("8", 5851), Pair("9", 5949)));
}

TEST_F(RealDataTest, CaliforniaHousing) {
  Read("california_housing/housing.csv");
  if (IsSkipped()) return;
  EXPECT_EQ(table().rows(), 20640);
  EXPECT_EQ(Missing(), 207);
  EXPECT_EQ(dataset_.statistics[4].missing, 207);
  EXPECT_THAT(table().Get("ocean_proximity").categories(),
              ElementsAre("<1H OCEAN", "INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN"));
  const auto& target = dataset_.statistics[8];
  EXPECT_EQ(std::lround(target.mean), 206856);
  EXPECT_EQ(std::lround(target.standard_deviation), 115393);
  int64_t capped = 0;
  for (int64_t row = 0; row < table().rows(); ++row) {
    capped += table().Get("median_house_value").Number(row) >= 500000;
  }
  EXPECT_EQ(capped, 992);
}

TEST_F(RealDataTest, CaliforniaHousingBecomesFeatures) {
  Read("california_housing/housing.csv");
  if (IsSkipped()) return;
  using engine::data::TransformSpec;
  engine::data::SplitSpec by_five;
  by_five.kind = engine::data::SplitSpec::Kind::kModulo;
  const engine::data::Split split = MakeSplit(table(), by_five);
  EXPECT_EQ(split.test.size(), 4128u);
  std::vector<TransformSpec> specs(3);
  specs[0].kind = TransformSpec::Kind::kImpute;
  specs[1].kind = TransformSpec::Kind::kOneHot;
  specs[2].kind = TransformSpec::Kind::kStandardize;
  const auto fitted = FitTransforms(table(), split.train, specs, {"median_house_value"});
  EXPECT_EQ(fitted.features(), 13);
  const auto matrix = ApplyTransforms(fitted, table(), split.train);
  for (int64_t f = 0; f < 8; ++f) {
    double sum = 0, squares = 0;
    for (int64_t row = 0; row < matrix.rows; ++row) {
      const double x = matrix.values[static_cast<size_t>(row * 13 + f)];
      sum += x;
      squares += x * x;
    }
    EXPECT_NEAR(sum / static_cast<double>(matrix.rows), 0, 1e-5);
    EXPECT_NEAR(squares / static_cast<double>(matrix.rows), 1, 1e-4);
  }
}

TEST_F(RealDataTest, Higgs) {
  for (const auto& [name, rows, signal] :
       {std::tuple("higgs/higgs_a_10000.csv.gz", 10000, 0.5295),
        std::tuple("higgs/higgs_b_10978.csv.gz", 10978, 0.5301)}) {
    Read(name);
    if (IsSkipped()) return;
    EXPECT_EQ(table().rows(), rows);
    EXPECT_EQ(table().columns().size(), 29u);
    EXPECT_NEAR(dataset_.statistics[0].mean, signal, 5e-5);
    EXPECT_EQ(Missing(), 0);
    engine::data::TargetSpec spec;
    spec.column = "label";
    const auto target = FitTarget(table(), AllRows(table()), spec);
    EXPECT_THAT(target.classes, ElementsAre("0", "1"));
  }
}

TEST_F(RealDataTest, Magic04) {
  Read("magic04/magic04.data");
  if (IsSkipped()) return;
  EXPECT_EQ(table().rows(), 19020);
  EXPECT_EQ(table().columns().size(), 11u);
  EXPECT_THAT(Counts("class"), ElementsAre(Pair("g", 12332), Pair("h", 6688)));
}

TEST_F(RealDataTest, ItalyPowerDemand) {
  Read("italy_power/ItalyPowerDemand_TRAIN.ts");
  if (IsSkipped()) return;
  EXPECT_EQ(table().rows(), 67 * 24);
  EXPECT_NEAR(table().Get("dim0").Number(0), -0.71051757, 1e-12);
  EXPECT_NEAR(table().Get("dim0").Number(24), -0.99300935, 1e-12);
  EXPECT_EQ(table().Get("series").Number(67 * 24 - 1), 66);
  int64_t first = 0;
  for (int64_t row = 0; row < table().rows(); row += 24)
    first += table().Get("class").Number(row) == 1;
  EXPECT_EQ(first, 34);
}

}  // namespace
}  // namespace beamline::pipeline
