#include "clients/cli/figures.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "clients/cli/csv.h"
#include "clients/cli/distributions.h"
#include "clients/cli/format.h"
#include "clients/cli/matrix_plot.h"
#include "clients/cli/plot.h"
#include "clients/cli/progress.h"
#include "clients/cli/roc_plot.h"
#include "clients/cli/svg.h"
#include "clients/cli/table.h"

namespace beamline::cli {
namespace {

constexpr int kSvgWidth = 640;
constexpr int kSvgHeight = 420;
constexpr Box kPlotBox = {80, 60, 400, 280};
constexpr size_t kBarsInText = 20;
constexpr size_t kBarsInSvg = 40;
constexpr int kBarWidth = 30;

// What may stand in the name of a file.
std::string FileNameOf(std::string_view name) {
  std::string file;
  for (const char c : name) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
    file += plain ? c : '_';
  }
  return file;
}

std::string PictureOf(const Plot& plot, const TerminalTraits& traits) {
  return Picture(plot, traits.utf8 ? 40 : 50, traits.utf8 ? 12 : 16, traits.utf8);
}

std::string SvgOf(const Plot& plot, const std::string& title) {
  return SvgDocument(kSvgWidth, kSvgHeight, title, SvgPlot(plot, kPlotBox));
}

Axis UnitAxis(std::string name) {
  Axis axis{.name = std::move(name)};
  for (int i = 0; i <= 10; i += 2)
    axis.ticks.push_back({i / 10.0, absl::StrFormat("%.1f", i / 10.0)});
  return axis;
}

std::string CurveCsv(const google::protobuf::RepeatedPtrField<v1::CurvePoint>& curve,
                     const std::string& x, const std::string& y) {
  std::string csv = CsvLine({x, y, "threshold"});
  for (const v1::CurvePoint& point : curve) {
    csv +=
        CsvLine({ExactNumber(point.x()), ExactNumber(point.y()), ExactNumber(point.threshold())});
  }
  return csv;
}

Figure RocFigure(const v1::Evaluation& evaluation, const TerminalTraits& traits) {
  Figure figure{.name = "roc", .title = "ROC curve"};
  figure.csv = CurveCsv(evaluation.roc(), "false_positive_rate", "true_positive_rate");
  std::vector<RocPoint> points;
  for (const v1::CurvePoint& point : evaluation.roc()) points.push_back({point.x(), point.y()});
  figure.svg = RocSvg(points, figure.title);
  figure.text = RocPicture(points, traits.utf8 ? 40 : 50, traits.utf8 ? 12 : 16, traits.utf8);
  return figure;
}

Figure PrecisionFigure(const v1::Evaluation& evaluation, const TerminalTraits& traits) {
  Figure figure{.name = "precision_recall", .title = "precision over recall"};
  figure.csv = CurveCsv(evaluation.precision_recall(), "recall", "precision");
  Plot plot{.title = "", .x = UnitAxis("recall"), .y = UnitAxis("precision"), .series = {}};
  Series& curve = plot.series.emplace_back();
  curve.emphasis = Emphasis::kStrong;
  curve.joined = true;
  for (const v1::CurvePoint& point : evaluation.precision_recall()) {
    curve.points.push_back({point.x(), point.y()});
  }
  figure.svg = SvgOf(plot, figure.title);
  figure.text = PictureOf(plot, traits);
  return figure;
}

Figure CalibrationFigure(const v1::Evaluation& evaluation, const TerminalTraits& traits) {
  Figure figure{.name = "calibration", .title = "calibration"};
  figure.csv = CsvLine({"predicted", "observed", "weight"});
  Plot plot{.title = "",
            .x = UnitAxis("predicted probability"),
            .y = UnitAxis("observed share"),
            .series = {}};
  plot.series.push_back({.points = {{0, 0}, {1, 1}}, .emphasis = Emphasis::kFaint, .joined = true});
  Series bins{.emphasis = Emphasis::kStrong};
  for (const v1::CalibrationBin& bin : evaluation.calibration()) {
    figure.csv += CsvLine(
        {ExactNumber(bin.predicted()), ExactNumber(bin.observed()), ExactNumber(bin.weight())});
    bins.points.push_back({bin.predicted(), bin.observed()});
  }
  plot.series.push_back(std::move(bins));
  figure.svg = SvgOf(plot, figure.title);
  figure.text = PictureOf(plot, traits);
  return figure;
}

// The longest bar is that of the largest value; what the column does not help has none.
Figure ImportanceFigure(const v1::Evaluation& evaluation, const TerminalTraits& traits) {
  Figure figure{.name = "importance", .title = "importance of columns, by permutation"};
  figure.csv = CsvLine({"column", "mean", "standard_deviation"});
  double most = 0;
  for (const v1::ColumnImportance& one : evaluation.importance()) most = std::max(most, one.mean());
  Table table({{"COLUMN"}, {""}, {"LOSS", Table::Align::kRight}});
  std::vector<LabelledBar> bars;
  for (const v1::ColumnImportance& one : evaluation.importance()) {
    figure.csv += CsvLine(
        {CsvCell(one.column()), ExactNumber(one.mean()), ExactNumber(one.standard_deviation())});
    const double share = most > 0 ? one.mean() / most : 0;
    if (bars.size() < kBarsInText) {
      table.Add({one.column(), Bar(share, kBarWidth, traits.utf8),
                 absl::StrFormat("%.5f +- %.5f", one.mean(), one.standard_deviation())});
    }
    if (bars.size() < kBarsInSvg) {
      bars.push_back({one.column(), one.mean(), one.standard_deviation()});
    }
  }
  figure.text = table.Render();
  figure.svg =
      SvgDocument(kSvgWidth, static_cast<int>(80 + 22 * bars.size()), figure.title,
                  SvgErrorBars(bars, {200, 50, 380, 22.0 * static_cast<double>(bars.size())}));
  return figure;
}

Figure ConfusionFigure(const v1::Evaluation& evaluation) {
  Figure figure{.name = "confusion", .title = "confusion matrix"};
  const Matrix matrix{.row_axis = "true",
                      .column_axis = "predicted",
                      .names = {evaluation.classes().begin(), evaluation.classes().end()},
                      .values = {evaluation.confusion().begin(), evaluation.confusion().end()},
                      .shades = Shades::kShareOfRow};
  figure.csv = MatrixCsv(matrix);
  figure.svg = MatrixSvg(matrix, figure.title);
  figure.text = MatrixText(matrix);
  return figure;
}

Figure HistogramFigure(const v1::ClassHistogram& histogram, const TerminalTraits& traits) {
  Distribution distribution;
  distribution.column = histogram.column();
  distribution.edges = {histogram.edges().begin(), histogram.edges().end()};
  std::map<std::string, int> colors;
  for (const v1::ClassHistogram::Series& series : histogram.series()) {
    const int color =
        colors.emplace(series.class_(), static_cast<int>(colors.size())).first->second;
    distribution.series.push_back(
        {.label = absl::StrCat(series.predicted() ? "predicted " : "true ", series.class_()),
         .counts = {series.counts().begin(), series.counts().end()},
         .color = color,
         .dashed = series.predicted()});
  }
  Figure figure{.name = absl::StrCat("histogram.", FileNameOf(histogram.column())),
                .title = absl::StrCat(histogram.column(), " by class")};
  figure.csv = DistributionCsv(distribution);
  figure.svg = DistributionSvg(distribution, figure.title);
  figure.text = DistributionText(distribution, traits);
  return figure;
}

// Values of one metric, and where along the training.
struct Curve {
  std::vector<PlotPoint> by_epoch;
  std::vector<PlotPoint> by_step;
};

constexpr std::string_view kValidation = "validation_";

Figure LearningCurve(const std::string& metric, const Curve& training, const Curve& validation,
                     bool by_epoch, const TerminalTraits& traits) {
  const auto points = [&](const Curve& curve) -> const std::vector<PlotPoint>& {
    return by_epoch ? curve.by_epoch : curve.by_step;
  };
  Plot plot;
  std::vector<double> xs, ys;
  std::map<double, std::pair<std::string, std::string>> rows;
  for (const auto& [name, curve, emphasis, color] :
       {std::tuple{"training", &training, Emphasis::kPlain, 1},
        std::tuple{"validation", &validation, Emphasis::kStrong, 0}}) {
    if (points(*curve).empty()) continue;
    plot.series.push_back({.points = points(*curve),
                           .emphasis = emphasis,
                           .joined = points(*curve).size() > 1,
                           .label = name,
                           .color = color});
    for (const PlotPoint& point : points(*curve)) {
      xs.push_back(point.x);
      ys.push_back(point.y);
      auto& [of_training, of_validation] = rows[point.x];
      (curve == &training ? of_training : of_validation) = ExactNumber(point.y);
    }
  }
  plot.x = AxisOver(by_epoch ? "epoch" : "step", xs, false);
  plot.y = AxisOver(metric, ys, true);
  Figure figure{.name = absl::StrCat("learning.", FileNameOf(metric)),
                .title = absl::StrCat(metric, " during the training")};
  figure.csv = CsvLine({by_epoch ? "epoch" : "step", "training", "validation"});
  for (const auto& [x, values] : rows) {
    figure.csv += CsvLine({ExactNumber(x), values.first, values.second});
  }
  figure.svg = SvgOf(plot, figure.title);
  figure.text = PictureOf(plot, traits);
  return figure;
}

}  // namespace

std::vector<Figure> EvaluationFigures(const v1::Evaluation& evaluation,
                                      const TerminalTraits& traits) {
  std::vector<Figure> figures;
  if (evaluation.roc_size() > 1) figures.push_back(RocFigure(evaluation, traits));
  if (evaluation.precision_recall_size() > 1)
    figures.push_back(PrecisionFigure(evaluation, traits));
  if (evaluation.calibration_size() > 0) figures.push_back(CalibrationFigure(evaluation, traits));
  const int64_t classes = evaluation.classes_size();
  if (classes > 0 && evaluation.confusion_size() == classes * classes) {
    figures.push_back(ConfusionFigure(evaluation));
  }
  if (evaluation.importance_size() > 0) figures.push_back(ImportanceFigure(evaluation, traits));
  for (const v1::ClassHistogram& histogram : evaluation.histograms()) {
    figures.push_back(HistogramFigure(histogram, traits));
  }
  return figures;
}

std::vector<Figure> LearningCurves(const std::vector<v1::Event>& events,
                                   const TerminalTraits& traits) {
  std::map<std::string, Curve> curves;
  std::set<int> epochs;
  for (const v1::Event& event : events) {
    const v1::MetricValue& metric = event.metric();
    Curve& curve = curves[metric.name()];
    // The first epoch is 0 there.
    curve.by_epoch.push_back({metric.epoch() + 1.0, metric.value()});
    curve.by_step.push_back({static_cast<double>(metric.step()), metric.value()});
    epochs.insert(metric.epoch());
  }
  std::set<std::string> names;
  for (const auto& [name, curve] : curves) {
    if (name.starts_with("importance.")) continue;
    names.insert(name.starts_with(kValidation) ? name.substr(kValidation.size()) : name);
  }
  // The loss before all that is measured beside it.
  std::vector<std::string> order(names.begin(), names.end());
  std::ranges::stable_partition(order, [](const std::string& name) { return name == "loss"; });
  std::vector<Figure> figures;
  for (const std::string& name : order) {
    figures.push_back(LearningCurve(name, curves[name], curves[absl::StrCat(A(kValidation), name)],
                                    epochs.size() > 1, traits));
  }
  return figures;
}

std::string MetricsCsv(const v1::Evaluation& evaluation) {
  std::string csv = CsvLine({"metric", "value", "low", "high"});
  for (const auto& [name, value] :
       std::map<std::string, double>(evaluation.metrics().begin(), evaluation.metrics().end())) {
    const auto interval = evaluation.intervals().find(name);
    const bool known = interval != evaluation.intervals().end();
    csv += CsvLine({CsvCell(name), ExactNumber(value),
                    known ? ExactNumber(interval->second.low()) : "",
                    known ? ExactNumber(interval->second.high()) : ""});
  }
  return csv;
}

}  // namespace beamline::cli
