#include "clients/cli/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "clients/cli/svg.h"

namespace beamline::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> LabelsOf(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks) labels.push_back(tick.label);
  return labels;
}

Axis Over(const std::vector<double>& values, bool may_be_logarithmic = false) {
  return AxisOver("x", values, may_be_logarithmic);
}

TEST(Axis, EndsAtRoundNumbers) {
  EXPECT_THAT(LabelsOf(Over({0.931, 0.9472})),
              ElementsAre("0.930", "0.935", "0.940", "0.945", "0.950"));
  EXPECT_THAT(LabelsOf(Over({1, 30})), ElementsAre("0", "10", "20", "30"));
  EXPECT_THAT(LabelsOf(Over({-1, 1})), ElementsAre("-1.0", "-0.5", "0.0", "0.5", "1.0"));
  EXPECT_THAT(LabelsOf(Over({0, 4e6})), ElementsAre("0", "1e+06", "2e+06", "3e+06", "4e+06"));
  const Axis axis = Over({0.931, 0.9472});
  EXPECT_DOUBLE_EQ(axis.min, 0.93);
  EXPECT_DOUBLE_EQ(axis.max, 0.95);
  EXPECT_NEAR(axis.Position(0.94), 0.5, 1e-12);
}

TEST(Axis, IsLogarithmicWhereTheRangeIsWide) {
  const Axis wide = Over({0.3, 700}, true);
  EXPECT_TRUE(wide.logarithmic);
  EXPECT_THAT(LabelsOf(wide), ElementsAre("0.2", "1", "10", "100", "1e+03"));
  EXPECT_NEAR(wide.Position(std::sqrt(0.2 * 1000)), 0.5, 1e-12);
  EXPECT_THAT(LabelsOf(Over({1, 31}, true)), ElementsAre("1", "2", "5", "10", "20", "50"));
  EXPECT_THAT(LabelsOf(Over({1e-9, 1e9}, true)),
              ElementsAre("1e-09", "1e-06", "0.001", "1", "1e+03", "1e+06", "1e+09"));
  EXPECT_FALSE(Over({1, 29}, true).logarithmic);
  EXPECT_FALSE(Over({0.3, 700}, false).logarithmic);
  EXPECT_FALSE(Over({0, 700}, true).logarithmic);
}

TEST(Axis, ManagesWhateverItGets) {
  const double most = std::numeric_limits<double>::max();
  const double least = std::numeric_limits<double>::denorm_min();
  const std::vector<std::vector<double>> cases = {{},
                                                  {0},
                                                  {5},
                                                  {-5, -5},
                                                  {kNaN},
                                                  {kNaN, 3},
                                                  {INFINITY},
                                                  {-most, most},
                                                  {least, 1},
                                                  {0, least},
                                                  {least, 2 * least},
                                                  {1e299, 9e299},
                                                  {1, 1 + 1e-15},
                                                  {1e-290, 1e290},
                                                  {-1e299, 9e299}};
  for (const std::vector<double>& values : cases) {
    for (const bool logarithmic : {false, true}) {
      const Axis axis = Over(values, logarithmic);
      ASSERT_GE(axis.ticks.size(), 2u) << ::testing::PrintToString(values);
      EXPECT_LE(axis.ticks.size(), 12u) << ::testing::PrintToString(values);
      EXPECT_LT(axis.min, axis.max) << ::testing::PrintToString(values);
      for (const double value : values) {
        if (!(std::abs(value) < 1e300) || std::abs(value) < 1e-300) continue;
        EXPECT_GE(axis.Position(value), -1e-9) << ::testing::PrintToString(values);
        EXPECT_LE(axis.Position(value), 1 + 1e-9) << ::testing::PrintToString(values);
      }
    }
  }
}

TEST(Axis, HasAPlaceForEachLabel) {
  const Axis axis = AxisOf("kind", {"gelu", "tanh"});
  EXPECT_THAT(LabelsOf(axis), ElementsAre("gelu", "tanh"));
  EXPECT_DOUBLE_EQ(axis.Position(0), 0.25);
  EXPECT_DOUBLE_EQ(axis.Position(1), 0.75);
}

Plot Example() {
  Plot plot;
  plot.title = "quality";
  plot.x = {.name = "time", .min = 0, .max = 10, .ticks = {{0, "0"}, {10, "10"}}};
  plot.y = {.name = "auc", .min = 0, .max = 1, .ticks = {{0, "0.0"}, {1, "1.0"}}};
  plot.series = {{.points = {{0, 0}, {10, 0}}, .emphasis = Emphasis::kFaint, .joined = true},
                 {.points = {{5, 0.5}, {kNaN, 1}, {20, 2}}},
                 {.points = {{0, 0}}, .emphasis = Emphasis::kStrong}};
  return plot;
}

TEST(Picture, DrawsLinesAndMarks) {
  EXPECT_EQ(Picture(Example(), 9, 3, false),
            "auc\n"
            "1.0 |        o\n"
            "    |    o\n"
            "0.0 |*........\n"
            "    +---------\n"
            "     0 time 10\n");
  EXPECT_EQ(Picture(Example(), 9, 3, true),
            "auc\n"
            "1.0 \u2502        \u25cb\n"
            "    \u2502    \u25cb\n"
            "0.0 \u2502\u25cf\u28c0\u28c0\u28c0\u28c0\u28c0\u28c0\u28c0\u28c0\n"
            "    \u2514\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\n"
            "     0 time 10\n");
  EXPECT_EQ(Picture(Example(), 1, 3, false), "");
}

TEST(Picture, NamesCannotSteerTheTerminal) {
  Plot plot = Example();
  plot.x.name = "a\x1b[2J";
  plot.y.name = "b\nc";
  EXPECT_THAT(Picture(plot, 30, 3, false), AllOf(HasSubstr("a?[2J"), HasSubstr("b?c\n")));
}

TEST(Svg, PlacesAndEscapes) {
  Plot plot = Example();
  plot.title = "a<b> & \"c\"\x01\uFFFF.";
  const std::string svg = SvgPlot(plot, {100, 50, 200, 100});
  EXPECT_THAT(svg, AllOf(HasSubstr(">a&lt;b&gt; &amp; &quot;c&quot;  .</text>"),
                         HasSubstr("points=\"100.00,150.00 300.00,150.00\""),
                         HasSubstr("cx=\"200.00\" cy=\"100.00\""),
                         // Beyond the axes: at their ends.
                         HasSubstr("cx=\"300.00\" cy=\"50.00\""), Not(HasSubstr("nan"))));
  EXPECT_EQ(svg.find("<circle", svg.find("<circle", svg.find("<circle") + 1) + 1),
            svg.rfind("<circle"));
}

TEST(Svg, ShortensWhatIsLong) {
  Plot plot = Example();
  plot.x.ticks[0].label = "a label without an end";
  EXPECT_THAT(SvgPlot(plot, {}), HasSubstr(">a label w...</text>"));
}

TEST(Svg, BarsAreAsLongAsTheirShares) {
  const std::string svg =
      SvgBars("importance", {{"rate & more", 0.75}, {"units", 0.25}}, {10, 20, 400, 200});
  EXPECT_THAT(svg, AllOf(HasSubstr("x=\"10.00\" y=\"20.00\" width=\"300.00\""),
                         HasSubstr("x=\"10.00\" y=\"42.00\" width=\"100.00\""),
                         HasSubstr("rate &amp; more  75%"), HasSubstr("units  25%")));
  // What does not fit is left out.
  EXPECT_THAT(SvgBars("", {{"one", 1}, {"two", 1}}, {0, 0, 100, 30}), Not(HasSubstr("two")));
}

TEST(Svg, DocumentIsComplete) {
  const std::string svg = SvgDocument(300, 200, "x > y", "<path/>");
  EXPECT_TRUE(svg.starts_with("<?xml"));
  EXPECT_THAT(svg, AllOf(HasSubstr("width=\"300\" height=\"200\""), HasSubstr("x &gt; y"),
                         HasSubstr("<path/>")));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

}  // namespace
}  // namespace beamline::cli
