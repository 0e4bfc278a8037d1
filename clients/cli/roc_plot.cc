#include "clients/cli/roc_plot.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "clients/cli/plot.h"
#include "clients/cli/svg.h"

namespace beamline::cli {
namespace {

Plot PlotOf(std::span<const RocPoint> points) {
  Plot plot;
  plot.x = {.name = "false positive rate"};
  plot.y = {.name = "true positive rate"};
  Series& curve = plot.series.emplace_back();
  curve.emphasis = Emphasis::kStrong;
  curve.joined = true;
  for (const RocPoint& point : points) {
    curve.points.push_back({point.false_positive_rate, point.true_positive_rate});
  }
  return plot;
}

}  // namespace

std::string RocPicture(std::span<const RocPoint> points, int columns, int rows, bool utf8) {
  if (points.size() < 2 || columns < 2 || rows < 2) return "";
  Plot plot = PlotOf(points);
  plot.x.ticks = {{0, "0"}, {1, "1"}};
  plot.y.ticks = {{0, "0.0"}, {0.5, "0.5"}, {1, "1.0"}};
  // Pure guessing: lighter than the curve and below it, a mark for each row.
  Series diagonal{.emphasis = Emphasis::kFaint};
  for (int row = 0; row < rows; ++row) {
    const int column = (columns - 1) * row / (rows - 1);
    diagonal.points.push_back(
        {static_cast<double>(column) / (columns - 1), static_cast<double>(row) / (rows - 1)});
  }
  plot.series.insert(plot.series.begin(), diagonal);
  return Picture(plot, columns, rows, utf8);
}

std::string RocSvg(std::span<const RocPoint> points, std::string_view title) {
  Plot plot = PlotOf(points);
  for (int i = 0; i <= 10; i += 2) {
    const Tick tick{i / 10.0, absl::StrFormat("%.1f", i / 10.0)};
    plot.x.ticks.push_back(tick);
    plot.y.ticks.push_back(tick);
  }
  plot.series.insert(
      plot.series.begin(),
      Series{.points = {{0, 0}, {1, 1}}, .emphasis = Emphasis::kFaint, .joined = true});
  return SvgDocument(
      480, 480, title,
      SvgPlot(plot, {60, 50, 380, 380}) + SvgText(430, 420, "text-anchor=\"end\" font-size=\"14\"",
                                                  absl::StrFormat("AUC %.4f", AreaUnder(points))));
}

double AreaUnder(std::span<const RocPoint> points) {
  double area = 0;
  for (size_t i = 1; i < points.size(); ++i) {
    area += (points[i].false_positive_rate - points[i - 1].false_positive_rate) *
            (points[i].true_positive_rate + points[i - 1].true_positive_rate) / 2;
  }
  return area;
}

}  // namespace beamline::cli
