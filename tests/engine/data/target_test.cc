#include "engine/data/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/data/csv.h"
#include "engine/data/split.h"
#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table Example() {
  return ReadCsv(
      "kind,label,flag,y,gap,w,third\n"
      "b,1,true,2,1,1,x\n"
      "a,0,false,4,,-0.5,y\n"
      "b,10,true,6,1,2,z\n"
      "a,2,false,8.5,0,0,x\n");
}
const std::vector<int64_t> kAll = {0, 1, 2, 3};

TargetSpec Spec(std::string column, TargetKind kind, std::vector<std::string> classes = {}) {
  TargetSpec spec;
  spec.column = std::move(column);
  spec.kind = kind;
  spec.classes = std::move(classes);
  return spec;
}

std::string FitError(const TargetSpec& spec, std::vector<int64_t> rows = kAll) {
  return ErrorOf([&] { FitTarget(Example(), rows, spec); });
}

TEST(TargetTest, ClassesOfCategoriesBoolsAndIntegers) {
  const Table table = Example();
  FittedTarget target = FitTarget(table, kAll, Spec("kind", TargetKind::kBinary));
  EXPECT_THAT(target.classes, ElementsAre("a", "b"));
  EXPECT_THAT(EncodeTarget(target, table, kAll), ElementsAre(1, 0, 1, 0));
  target = FitTarget(table, kAll, Spec("kind", TargetKind::kBinary, {"b", "a"}));
  EXPECT_THAT(EncodeTarget(target, table, kAll), ElementsAre(0, 1, 0, 1));
  target = FitTarget(table, kAll, Spec("flag", TargetKind::kBinary));
  EXPECT_THAT(target.classes, ElementsAre("false", "true"));
  EXPECT_THAT(EncodeClasses(target, table, kAll), ElementsAre(1, 0, 1, 0));
  target = FitTarget(table, kAll, Spec("label", TargetKind::kMulticlass));
  EXPECT_THAT(target.classes, ElementsAre("0", "1", "2", "10"));
  EXPECT_THAT(EncodeClasses(target, table, kAll), ElementsAre(1, 0, 3, 2));
}

TEST(TargetTest, RegressionWithAndWithoutScaling) {
  const Table table = Example();
  const std::vector<int64_t> train = {0, 1, 2};
  TargetSpec spec = Spec("y", TargetKind::kRegression);
  EXPECT_THAT(EncodeTarget(FitTarget(table, train, spec), table, kAll), ElementsAre(2, 4, 6, 8.5));
  spec.standardize = true;
  const FittedTarget target = FitTarget(table, train, spec);
  EXPECT_DOUBLE_EQ(target.mean, 4);
  EXPECT_DOUBLE_EQ(target.scale, std::sqrt(8.0 / 3));
  EXPECT_FLOAT_EQ(EncodeTarget(target, table, kAll)[3], static_cast<float>(4.5 / target.scale));
  EXPECT_DOUBLE_EQ(target.Inverse(1), 4 + target.scale);
}

TEST(TargetTest, Errors) {
  EXPECT_EQ(FitError(Spec("gap", TargetKind::kBinary)),
            "row 2: the label in column \"gap\" is missing: remove the row or correct it");
  EXPECT_EQ(FitError(Spec("gap", TargetKind::kRegression)),
            "row 2: the label in column \"gap\" is missing: remove the row or correct it");
  EXPECT_THAT(FitError(Spec("kind", TargetKind::kBinary), {0, 2}),
              HasSubstr("has only one class in the training rows, \"b\""));
  EXPECT_THAT(FitError(Spec("third", TargetKind::kBinary)), HasSubstr("use multiclass"));
  EXPECT_THAT(FitError(Spec("y", TargetKind::kBinary)),
              HasSubstr("row 4: the label in column \"y\" is 8.5"));
  EXPECT_THAT(FitError(Spec("kind", TargetKind::kRegression)), HasSubstr("is categorical"));
  EXPECT_THAT(FitError(Spec("kid", TargetKind::kBinary)), HasSubstr("did you mean \"kind\""));
  EXPECT_THAT(FitError(Spec("kind", TargetKind::kBinary, {"a", "c"})),
              HasSubstr("no training row of column \"kind\" has the class \"c\""));
  EXPECT_THAT(FitError(Spec("third", TargetKind::kMulticlass, {"x", "y"})),
              HasSubstr("has the class \"z\", which classes does not name"));
  TargetSpec constant = Spec("y", TargetKind::kRegression);
  constant.standardize = true;
  EXPECT_THAT(FitError(constant, {1}), HasSubstr("nothing to learn"));
  EXPECT_THAT(FitError(Spec("y", TargetKind::kRegression), {}), HasSubstr("no training rows"));
  EXPECT_THAT(FitError(Spec("y", TargetKind::kRegression), {4}), HasSubstr("row 5 is outside"));
  const FittedTarget target = FitTarget(Example(), kAll, Spec("kind", TargetKind::kBinary));
  const Table other({Column::OfStrings("kind", {"a", "c"})});
  EXPECT_EQ(ErrorOf([&] { EncodeTarget(target, other, AllRows(other)); }),
            "row 2: the label \"c\" in column \"kind\" is no class of the training rows");
}

TEST(TargetTest, Weights) {
  const Table table = Example();
  EXPECT_THAT(ReadWeights(table, "w", kAll), ElementsAre(1, -0.5, 2, 0));
  EXPECT_THAT(ErrorOf([&] { ReadWeights(table, "gap", kAll); }),
              HasSubstr("row 2: the weight in column \"gap\" is missing"));
  EXPECT_THAT(ErrorOf([&] {
                ReadWeights(table, "w", std::vector<int64_t>{1, 3});
              }),
              HasSubstr("sum to -0.5: their sum must be positive"));
  EXPECT_THAT(ErrorOf([&] { ReadWeights(table, "kind", kAll); }),
              HasSubstr("does not hold numbers"));
}

}  // namespace
}  // namespace beamline::engine::data
