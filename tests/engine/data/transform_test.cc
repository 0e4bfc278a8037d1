#include "engine/data/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/data/csv.h"
#include "engine/data/split.h"
#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::HasSubstr;
using Kind = TransformSpec::Kind;
using Impute = TransformSpec::Impute;

TransformSpec Spec(Kind kind, std::vector<std::string> columns = {}) {
  TransformSpec spec;
  spec.kind = kind;
  spec.columns = std::move(columns);
  return spec;
}

TransformSpec Filling(Impute impute, std::vector<std::string> columns = {},
                      std::string constant = "") {
  TransformSpec spec = Spec(Kind::kImpute, std::move(columns));
  spec.impute = impute;
  spec.constant = std::move(constant);
  return spec;
}

// Rows 0 to 3 are for training.
Table Example() {
  return ReadCsv(
      "x,n,colour,y\n"
      "1,3,red,10\n"
      "2,,blue,20\n"
      "3,3,red,30\n"
      "6,5,,40\n"
      "100,7,green,50\n");
}
const std::vector<int64_t> kTrain = {0, 1, 2, 3};

std::vector<float> Row(const FittedTransforms& fitted, const Table& table, int64_t row) {
  return ApplyTransforms(fitted, table, std::vector<int64_t>{row}).values;
}

TEST(TransformTest, StandardizesWithTheTrainingRowsOnly) {
  const Table table = Example();
  const FittedTransforms fitted =
      FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"x"}), Spec(Kind::kStandardize)}, {"y"});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("x"));
  // Mean of 1, 2, 3, 6 is 3, population variance (4 + 1 + 0 + 9) / 4.
  const double deviation = std::sqrt(3.5);
  EXPECT_THAT(Row(fitted, table, 0), ElementsAre(FloatEq(static_cast<float>(-2 / deviation))));
  EXPECT_THAT(Row(fitted, table, 4), ElementsAre(FloatEq(static_cast<float>(97 / deviation))));
}

TEST(TransformTest, ScalesAConstantColumnToZero) {
  const Table table({Column::Of("x", std::vector<double>{7, 7, 7})});
  const std::vector<int64_t> train = {0, 1};
  EXPECT_THAT(Row(FitTransforms(table, train, {Spec(Kind::kStandardize)}), table, 2),
              ElementsAre(0));
  EXPECT_THAT(Row(FitTransforms(table, train, {Spec(Kind::kMinMax)}), table, 2), ElementsAre(0));
}

TEST(TransformTest, MinMaxClipAndLog1p) {
  const Table table = Example();
  TransformSpec range = Spec(Kind::kMinMax);
  range.low = -1;
  const TransformSpec only_x = Spec(Kind::kSelect, {"x"});
  FittedTransforms fitted = FitTransforms(table, kTrain, {only_x, range});
  EXPECT_THAT(Row(fitted, table, 0), ElementsAre(FloatEq(-1)));
  EXPECT_THAT(Row(fitted, table, 3), ElementsAre(FloatEq(1)));
  EXPECT_THAT(Row(fitted, table, 2), ElementsAre(FloatEq(-0.2f)));
  TransformSpec clip = Spec(Kind::kClip);
  clip.low = 2;
  clip.high = 10;
  fitted = FitTransforms(table, kTrain, {only_x, clip, Spec(Kind::kLog1p)});
  EXPECT_THAT(Row(fitted, table, 0), ElementsAre(FloatEq(std::log(3.0f))));
  EXPECT_THAT(Row(fitted, table, 4), ElementsAre(FloatEq(std::log(11.0f))));
}

TEST(TransformTest, ImputesByEachStrategy) {
  const Table table = Example();
  const auto filled = [&](const TransformSpec& spec) {
    return Row(FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"n"}), spec}), table, 1)[0];
  };
  EXPECT_FLOAT_EQ(filled(Filling(Impute::kMean)), 11.0f / 3);
  EXPECT_FLOAT_EQ(filled(Filling(Impute::kMedian)), 3);
  EXPECT_FLOAT_EQ(filled(Filling(Impute::kMostFrequent)), 3);
  EXPECT_FLOAT_EQ(filled(Filling(Impute::kConstant, {}, "-9.5")), -9.5);
  EXPECT_FLOAT_EQ(filled(Spec(Kind::kImpute)), 11.0f / 3);
}

TEST(TransformTest, AddsAnIndicatorOfMissingValues) {
  const Table table = Example();
  TransformSpec impute = Filling(Impute::kMean, {"n"});
  impute.indicator = true;
  const FittedTransforms fitted =
      FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"n"}), impute, Spec(Kind::kStandardize)});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("n", "n:missing"));
  EXPECT_EQ(Row(fitted, table, 0)[1], 0);
  EXPECT_EQ(Row(fitted, table, 1)[1], 1);
  EXPECT_EQ(Row(fitted, table, 1)[0], 0);  // the mean, standardized
}

TEST(TransformTest, OneHotOfCategoriesSeenInTraining) {
  const Table table = Example();
  const TransformSpec only = Spec(Kind::kSelect, {"colour"});
  FittedTransforms fitted = FitTransforms(table, kTrain, {only, Spec(Kind::kOneHot)});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("colour=blue", "colour=red"));
  EXPECT_THAT(Row(fitted, table, 0), ElementsAre(0, 1));
  EXPECT_THAT(Row(fitted, table, 3), ElementsAre(0, 0));  // missing
  EXPECT_THAT(Row(fitted, table, 4), ElementsAre(0, 0));  // unknown
  fitted =
      FitTransforms(table, kTrain, {only, Filling(Impute::kMostFrequent), Spec(Kind::kOneHot)});
  EXPECT_THAT(Row(fitted, table, 3), ElementsAre(0, 1));
  fitted = FitTransforms(table, kTrain, {only, Spec(Kind::kImpute), Spec(Kind::kOneHot)});
  EXPECT_THAT(Row(fitted, table, 3), ElementsAre(0, 1));
  fitted = FitTransforms(table, kTrain,
                         {only, Filling(Impute::kConstant, {}, "none"), Spec(Kind::kOneHot)});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("colour=blue", "colour=red", "colour=none"));
  EXPECT_THAT(Row(fitted, table, 3), ElementsAre(0, 0, 1));
  TransformSpec strict = Spec(Kind::kOneHot);
  strict.unknown = TransformSpec::Unknown::kError;
  fitted = FitTransforms(table, kTrain, {only, strict});
  EXPECT_EQ(ErrorOf([&] { Row(fitted, table, 4); }),
            "row 5, column \"colour\": \"green\" was not seen in training");
}

TEST(TransformTest, OneHotOfIntegersWhateverTheOtherTableCallsThem) {
  const Table table = Example();
  const FittedTransforms fitted =
      FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"n"}), Spec(Kind::kOneHot, {"n"})});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("n=3", "n=5"));
  EXPECT_THAT(Row(fitted, table, 3), ElementsAre(0, 1));
  const Table floats({Column::Of("n", std::vector<double>{5, 4, 2.5})});
  EXPECT_THAT(Row(fitted, floats, 0), ElementsAre(0, 1));
  EXPECT_THAT(Row(fitted, floats, 1), ElementsAre(0, 0));
  EXPECT_THAT(ErrorOf([&] { Row(fitted, floats, 2); }), HasSubstr("2.5 is not a category"));
  const Table texts({Column::OfStrings("n", {"3", "x"})});
  EXPECT_THAT(Row(fitted, texts, 0), ElementsAre(1, 0));
}

TEST(TransformTest, OrdinalCodesLeaveZeroForTheUnknown) {
  const Table table = Example();
  const FittedTransforms fitted =
      FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"colour", "x"}), Spec(Kind::kOrdinal)});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("x"));
  EXPECT_THAT(fitted.CodeNames(), ElementsAre("colour"));
  EXPECT_THAT(fitted.Vocabularies(), ElementsAre(3));
  EXPECT_THAT(ApplyTransforms(fitted, table, AllRows(table)).code_values,
              ElementsAre(2, 1, 2, 0, 0));
}

TEST(TransformTest, CategoriesOfAnotherTableAreFoundByName) {
  const Table table = Example();
  const FittedTransforms fitted =
      FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"colour"}), Spec(Kind::kOneHot)});
  const Table other({Column::OfStrings("colour", {"red", "azure", "blue"})});
  EXPECT_THAT(ApplyTransforms(fitted, other, AllRows(other)).values, ElementsAre(0, 1, 0, 0, 1, 0));
}

TEST(TransformTest, ItemsHaveAFeatureForEachValue) {
  const Table table({Column::Of("image", std::vector<float>{0, 10, 2, 10, 4, 10}, {2})});
  const FittedTransforms fitted =
      FitTransforms(table, std::vector<int64_t>{0, 1, 2}, {Spec(Kind::kMinMax)});
  EXPECT_THAT(fitted.FeatureNames(), ElementsAre("image[0]", "image[1]"));
  EXPECT_THAT(ApplyTransforms(fitted, table, std::vector<int64_t>{2, 1}).values,
              ElementsAre(1, 0, 0.5, 0));
}

TEST(TransformTest, ReadsManyRowsInAnyOrderAsOneByOne) {
  std::vector<double> x, z;
  for (int i = 0; i < 1000; ++i) {
    x.push_back(std::sin(i));
    for (int k = 0; k < 3; ++k) z.push_back(i * 3 + k);
  }
  const Table table({Column::Of("x", x), Column::Of("z", z, {3})});
  const FittedTransforms fitted = FitTransforms(table, AllRows(table), {Spec(Kind::kStandardize)});
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < 1000; ++i) rows.push_back(i * 7 % 1000);
  const FeatureMatrix all = ApplyTransforms(fitted, table, rows);
  ASSERT_EQ(all.features, 4);
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> one = Row(fitted, table, rows[i]);
    ASSERT_TRUE(
        std::equal(one.begin(), one.end(), all.values.begin() + static_cast<ptrdiff_t>(i) * 4));
  }
}

TEST(TransformTest, ScalesByFactorAndOffset) {
  const Table table = Example();
  TransformSpec scale = Spec(Kind::kScale, {"x"});
  scale.factor = 0.5;
  scale.offset = -3;
  const FittedTransforms fitted = FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"x"}), scale});
  EXPECT_THAT(Row(fitted, table, 4), ElementsAre(47));
  scale.factor = 0;
  EXPECT_THAT(ErrorOf([&] {
                FitTransforms(table, kTrain, {Spec(Kind::kSelect, {"x"}), scale});
              }),
              HasSubstr("factor (0)"));
}

TEST(TransformTest, TakesStatisticsOfWholeItems) {
  const Table table({Column::Of("x", std::vector<double>{0, 1, 2, 3, 9, 5}, {2})});
  const std::vector<int64_t> train = {0, 1};
  TransformSpec range = Spec(Kind::kMinMax);
  range.whole = true;
  const FittedTransforms fitted = FitTransforms(table, train, {range});
  ASSERT_EQ(fitted.columns[0].steps[0].a.size(), 1);  // Not one for each place.
  EXPECT_THAT(Row(fitted, table, 1), ElementsAre(FloatEq(2.0F / 3), 1));
  TransformSpec standard = Spec(Kind::kStandardize);
  standard.whole = true;
  const double deviation = std::sqrt(1.25);  // Of 0, 1, 2, 3.
  EXPECT_THAT(Row(FitTransforms(table, train, {standard}), table, 2),
              ElementsAre(FloatEq(static_cast<float>(7.5 / deviation)),
                          FloatEq(static_cast<float>(3.5 / deviation))));
}

// Bytes are looked up; the numbers are those that the steps give.
TEST(TransformTest, LooksUpTheFeaturesOfBytes) {
  constexpr int64_t kItem = 48, kRows = 11;
  std::vector<uint8_t> bytes(kItem * kRows);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * 37);
  const std::vector<int32_t> wide(bytes.begin(), bytes.end());
  const Table narrow_table(
      {Column::Of("z", std::vector<double>(kRows, 1.5)), Column::Of("x", bytes, {6, 8})});
  const Table wide_table(
      {Column::Of("z", std::vector<double>(kRows, 1.5)), Column::Of("x", wide, {6, 8})});
  TransformSpec scale = Spec(Kind::kScale, {"x"});
  scale.factor = 1.0 / 255;
  TransformSpec clip = Spec(Kind::kClip, {"x"});
  clip.low = 0.1;
  clip.high = 0.7;
  TransformSpec standard = Spec(Kind::kStandardize, {"x"});
  standard.whole = true;
  const std::vector<int64_t> all = {10, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3};
  const FittedTransforms fitted =
      FitTransforms(narrow_table, all, {Filling(Impute::kMean), scale, clip, standard});
  EXPECT_EQ(fitted.columns[1].steps.size(), 3);  // Nothing to fill in.
  const FeatureReader reader(fitted, narrow_table);
  EXPECT_FALSE(reader.ReadsBytes(0));
  EXPECT_TRUE(reader.ReadsBytes(1));
  EXPECT_EQ(reader.FirstFeature(1), 1);
  EXPECT_EQ(reader.FirstFeature(2), 1 + kItem);
  EXPECT_FALSE(FeatureReader(fitted, wide_table).ReadsBytes(1));
  const std::vector<float> expected = ApplyTransforms(fitted, wide_table, all).values;
  std::vector<float> features(expected.size());
  reader.Read(all, features);
  EXPECT_EQ(features, expected);
  std::vector<float> only(expected.size(), 7);
  reader.ReadByteColumns(all, only);
  for (size_t i = 0; i < only.size(); ++i) {
    EXPECT_EQ(only[i], i % (1 + kItem) == 0 ? 7 : expected[i]);
  }
  // Steps that differ from place to place are not looked up, nor is a logarithm.
  EXPECT_FALSE(
      FeatureReader(FitTransforms(narrow_table, all, {Spec(Kind::kStandardize)}), narrow_table)
          .ReadsBytes(1));
  EXPECT_FALSE(FeatureReader(FitTransforms(narrow_table, all, {Spec(Kind::kLog1p)}), narrow_table)
                   .ReadsBytes(1));
}

TEST(TransformTest, ErrorsOfFitting) {
  const Table table = Example();
  const auto error = [&](std::vector<TransformSpec> specs, std::vector<std::string> reserved = {}) {
    return ErrorOf([&] { FitTransforms(table, kTrain, specs, reserved); });
  };
  EXPECT_EQ(error({}),
            "column \"colour\" is categorical: add one_hot or ordinal for it, or drop it");
  EXPECT_EQ(error({Spec(Kind::kDrop, {"color"})}),
            "there is no column \"color\": did you mean \"colour\"?");
  EXPECT_THAT(error({Spec(Kind::kStandardize, {"y"})}, {"y"}), HasSubstr("cannot be a feature"));
  EXPECT_THAT(error({Spec(Kind::kStandardize, {"colour"})}), HasSubstr("applies to numbers"));
  EXPECT_THAT(error({Filling(Impute::kMean, {"colour"})}), HasSubstr("impute most_frequent"));
  EXPECT_THAT(error({Spec(Kind::kOneHot, {"x"}), Spec(Kind::kLog1p, {"x"})}),
              HasSubstr("was encoded by an earlier transform"));
  EXPECT_THAT(error({Spec(Kind::kStandardize), Spec(Kind::kOneHot, {"n"})}),
              HasSubstr("encode it first"));
  EXPECT_THAT(error({Filling(Impute::kConstant, {"x"}, "abc")}), HasSubstr("not a finite number"));
  EXPECT_THAT(error({Spec(Kind::kDrop, {"x"}), Spec(Kind::kLog1p, {"x"})}),
              HasSubstr("was dropped by an earlier transform"));
  EXPECT_EQ(error({Spec(Kind::kDrop, {"x", "n", "colour"})}, {"y"}),
            "no column is left to make features of");
  TransformSpec clip = Spec(Kind::kClip);
  clip.low = clip.high = 1;
  EXPECT_THAT(error({clip}), HasSubstr("must be below"));
  TransformSpec few = Spec(Kind::kOneHot);
  few.max_categories = 1;
  EXPECT_THAT(error({few}), HasSubstr("has 2 categories, more than 1"));
  EXPECT_THAT(ErrorOf([&] { FitTransforms(table, {}, {}); }), HasSubstr("no training rows"));
  EXPECT_THAT(ErrorOf([&] { FitTransforms(table, std::vector<int64_t>{9}, {}); }),
              HasSubstr("training row 10 is outside the table of 5 rows"));
}

TEST(TransformTest, ErrorsOfValues) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const Table table({Column::Of("x", std::vector<double>{1, -1, nan, infinity, 1e300})});
  const std::vector<int64_t> one = {0};
  const FittedTransforms plain = FitTransforms(table, one, {});
  EXPECT_EQ(
      ErrorOf([&] { Row(plain, table, 2); }),
      "row 3, column \"x\": the value is missing: add an impute transform, or remove the row");
  EXPECT_THAT(ErrorOf([&] { Row(plain, table, 3); }), HasSubstr("row 4, column \"x\": inf"));
  EXPECT_THAT(ErrorOf([&] { Row(plain, table, 4); }), HasSubstr("does not fit into float32"));
  EXPECT_THAT(ErrorOf([&] { Row(plain, table, 5); }), HasSubstr("row 6 is outside the table"));
  EXPECT_TRUE(std::isnan(
      ApplyTransforms(plain, table, std::vector<int64_t>{2}, {.keep_missing = true}).values[0]));
  EXPECT_THAT(ErrorOf([&] {
                FitTransforms(table, std::vector<int64_t>{0, 1}, {Spec(Kind::kLog1p)});
              }),
              HasSubstr("row 2, column \"x\": log1p is not defined for -1"));
  EXPECT_THAT(ErrorOf([&] {
                FitTransforms(table, std::vector<int64_t>{0, 3}, {Spec(Kind::kStandardize)});
              }),
              HasSubstr("has infinite values"));
  EXPECT_THAT(
      ErrorOf([&] { FitTransforms(table, std::vector<int64_t>{2}, {Filling(Impute::kMedian)}); }),
      HasSubstr("has no value in the training rows"));
  const Table text({Column::OfStrings("x", {"a"})});
  EXPECT_THAT(ErrorOf([&] { Row(plain, text, 0); }), HasSubstr("holds text"));
  const Table items({Column::Of("x", std::vector<double>{1, 2}, {2})});
  EXPECT_THAT(ErrorOf([&] { Row(plain, items, 0); }), HasSubstr("has items of 2 values"));
}

}  // namespace
}  // namespace beamline::engine::data
