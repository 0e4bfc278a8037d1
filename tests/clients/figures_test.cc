// Pictures of evaluations and trainings, and the tables beside them.
#include "clients/cli/figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>

#include "clients/cli/distributions.h"
#include "clients/cli/matrix_plot.h"
#include "clients/cli/run_summary.h"

namespace beamline::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

void AddPoint(double x, double y, double threshold,
              google::protobuf::RepeatedPtrField<v1::CurvePoint>* curve) {
  v1::CurvePoint& point = *curve->Add();
  point.set_x(x);
  point.set_y(y);
  point.set_threshold(threshold);
}

v1::Evaluation TwoClasses() {
  v1::Evaluation evaluation;
  evaluation.set_rows_of("events, test");
  evaluation.set_row_count(100);
  (*evaluation.mutable_metrics())["auc"] = 0.875;
  (*evaluation.mutable_metrics())["loss"] = 0.25;
  v1::MetricInterval& interval = (*evaluation.mutable_intervals())["auc"];
  interval.set_low(0.8);
  interval.set_high(0.9375);
  evaluation.set_confidence(0.95);
  AddPoint(0, 0, 2, evaluation.mutable_roc());
  AddPoint(0.25, 0.75, 0.5, evaluation.mutable_roc());
  AddPoint(1, 1, 0, evaluation.mutable_roc());
  AddPoint(0, 1, 2, evaluation.mutable_precision_recall());
  AddPoint(1, 0.5, 0, evaluation.mutable_precision_recall());
  v1::CalibrationBin& bin = *evaluation.add_calibration();
  bin.set_predicted(0.25);
  bin.set_observed(0.5);
  bin.set_weight(8);
  evaluation.add_classes("background");
  evaluation.add_classes("sig<nal>, \"s\"");
  for (const double cell : {30, 10, 20, 40}) evaluation.add_confusion(cell);
  for (const auto& [name, mean] : {std::pair("m_bb", 0.125), std::pair("phi", -0.01)}) {
    v1::ColumnImportance& one = *evaluation.add_importance();
    one.set_column(name);
    one.set_mean(mean);
    one.set_standard_deviation(0.0625);
  }
  v1::ClassHistogram& histogram = *evaluation.add_histograms();
  histogram.set_column("m/bb");
  for (const double edge : {0, 1, 2}) histogram.add_edges(edge);
  for (const bool predicted : {false, true}) {
    v1::ClassHistogram::Series& series = *histogram.add_series();
    series.set_class_("background");
    series.set_predicted(predicted);
    series.add_counts(4);
    series.add_counts(predicted ? 1 : 2);
  }
  return evaluation;
}

std::map<std::string, Figure> ByName(const std::vector<Figure>& figures) {
  std::map<std::string, Figure> named;
  for (const Figure& figure : figures) named[figure.name] = figure;
  return named;
}

TEST(Figures, OfAnEvaluation) {
  const std::vector<Figure> figures = EvaluationFigures(TwoClasses(), {});
  std::vector<std::string> names;
  for (const Figure& figure : figures) {
    names.push_back(figure.name);
    EXPECT_THAT(figure.svg, AllOf(HasSubstr("<svg "), HasSubstr("</svg>"))) << figure.name;
    EXPECT_THAT(figure.svg, Not(HasSubstr("sig<nal>"))) << figure.name;
    EXPECT_THAT(figure.text, Not(IsEmpty())) << figure.name;
  }
  EXPECT_THAT(names, ElementsAre("roc", "precision_recall", "calibration", "confusion",
                                 "importance", "histogram.m_bb"));
  const auto named = ByName(figures);
  EXPECT_EQ(named.at("roc").csv,
            "false_positive_rate,true_positive_rate,threshold\r\n0,0,2\r\n0.25,0.75,0.5\r\n"
            "1,1,0\r\n");
  EXPECT_EQ(named.at("precision_recall").csv, "recall,precision,threshold\r\n0,1,2\r\n1,0.5,0\r\n");
  EXPECT_EQ(named.at("calibration").csv, "predicted,observed,weight\r\n0.25,0.5,8\r\n");
  EXPECT_EQ(named.at("confusion").csv,
            "true\\predicted,background,\"sig<nal>, \"\"s\"\"\"\r\nbackground,30,10\r\n"
            "\"sig<nal>, \"\"s\"\"\",20,40\r\n");
  EXPECT_EQ(named.at("importance").csv,
            "column,mean,standard_deviation\r\nm_bb,0.125,0.0625\r\nphi,-0.01,0.0625\r\n");
  EXPECT_EQ(named.at("histogram.m_bb").csv,
            "low,high,true background,predicted background\r\n0,1,4,4\r\n1,2,2,1\r\n");
  EXPECT_THAT(named.at("importance").text, HasSubstr("0.12500 +- 0.06250"));
  EXPECT_THAT(named.at("histogram.m_bb").svg, HasSubstr("true background"));
}

TEST(Figures, OnlyWhatThereIs) {
  v1::Evaluation evaluation;
  (*evaluation.mutable_metrics())["rmse"] = 3;
  EXPECT_THAT(EvaluationFigures(evaluation, {}), IsEmpty());
  EXPECT_EQ(MetricsCsv(evaluation), "metric,value,low,high\r\nrmse,3,,\r\n");
}

TEST(Figures, MetricsWithTheirIntervals) {
  const v1::Evaluation evaluation = TwoClasses();
  EXPECT_EQ(MetricsCsv(evaluation),
            "metric,value,low,high\r\nauc,0.875,0.8,0.9375\r\nloss,0.25,,\r\n");
  EXPECT_EQ(IntervalText(evaluation, "auc"), "0.80000 to 0.93750 (95%)");
  EXPECT_EQ(IntervalText(evaluation, "loss"), "");
}

std::vector<v1::Event> Training(int epochs) {
  std::vector<v1::Event> events;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (const auto& [name, value] :
         {std::pair("loss", 1.0 / (epoch + 1)), std::pair("validation_loss", 0.5 + epoch),
          std::pair("validation_auc", 0.75), std::pair("learning_rate", 0.125)}) {
      v1::MetricValue& metric = *events.emplace_back().mutable_metric();
      metric.set_name(name);
      metric.set_value(value);
      metric.set_epoch(epoch);
      metric.set_step(10 * (epoch + 1));
    }
  }
  return events;
}

TEST(Figures, LearningByEpoch) {
  const auto named = ByName(LearningCurves(Training(2), {.utf8 = true}));
  ASSERT_EQ(named.size(), 3u);
  EXPECT_EQ(named.at("learning.loss").csv, "epoch,training,validation\r\n1,1,0.5\r\n2,0.5,1.5\r\n");
  EXPECT_EQ(named.at("learning.auc").csv, "epoch,training,validation\r\n1,,0.75\r\n2,,0.75\r\n");
  EXPECT_EQ(named.at("learning.learning_rate").csv,
            "epoch,training,validation\r\n1,0.125,\r\n2,0.125,\r\n");
  EXPECT_THAT(named.at("learning.loss").svg,
              AllOf(HasSubstr("training"), HasSubstr("validation"), HasSubstr("polyline")));
  EXPECT_THAT(named.at("learning.loss").text, HasSubstr("epoch"));
}

TEST(Figures, LearningByStepOfOneEpoch) {
  const auto named = ByName(LearningCurves(Training(1), {}));
  EXPECT_EQ(named.at("learning.loss").csv, "step,training,validation\r\n10,1,0.5\r\n");
}

TEST(Distributions, LinesOfBlocks) {
  Distribution distribution;
  distribution.column = "x";
  distribution.edges = {0, 1, 2, 3};
  distribution.series = {{.label = "b", .counts = {8, 0, 4}},
                         {.label = "sig", .counts = {0, 0, 0}}};
  EXPECT_EQ(DistributionText(distribution, {}),
            "b   |@ =| 12\n"
            "sig |   | 0\n"
            "     0 x 3\n");
  distribution.edges.clear();
  distribution.categories = {"red", "green", "blue"};
  EXPECT_THAT(DistributionText(distribution, {}), HasSubstr("red    8    0\n"));
  EXPECT_EQ(DistributionCsv(distribution),
            "category,b,sig\r\nred,8,0\r\ngreen,0,0\r\nblue,4,0\r\n");
  EXPECT_THAT(DistributionSvg(distribution, "t"), HasSubstr(">green<"));
}

TEST(Matrices, WithoutWhatIsNoNumber) {
  const Matrix matrix{.row_axis = "",
                      .column_axis = "",
                      .names = {"a", "b"},
                      .values = {1, -0.5, -0.5, NAN},
                      .shades = Shades::kSigned};
  EXPECT_EQ(MatrixCsv(matrix), ",a,b\r\na,1,-0.5\r\nb,-0.5,\r\n");
  EXPECT_THAT(MatrixText(matrix), AllOf(HasSubstr("-0.500"), HasSubstr("-\n")));
  EXPECT_THAT(MatrixSvg(matrix, "t"), AllOf(HasSubstr("#0072b2"), HasSubstr("#e0e0e0")));
  Matrix large = matrix;
  large.names.assign(201, "n");
  large.values.assign(201 * 201, 0);
  EXPECT_EQ(MatrixSvg(large, "t"), "");
  EXPECT_EQ(MatrixText(large), "");
}

}  // namespace
}  // namespace beamline::cli
