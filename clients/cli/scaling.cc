#include "clients/cli/scaling.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/csv.h"
#include "clients/cli/format.h"
#include "clients/cli/plot.h"
#include "clients/cli/svg.h"
#include "clients/cli/table.h"
#include "clients/cli/trial_text.h"

namespace beamline::cli {
namespace {

using Point = v1::ScalingStudy::Point;

constexpr char kThreads[] = "threads";
constexpr char kValidation[] = "validation_";
constexpr int kSvgWidth = 720;
constexpr int kSvgHeight = 420;
constexpr Box kPlotBox = {90, 60, 400, 280};

ShortNames NamesOf(const v1::ScalingStudy& study) {
  return ShortNamesOf({study.keys().begin(), study.keys().end()});
}

// What is shown of quality: the loss, and one more.
std::vector<std::string> ShownMetrics(const v1::ScalingStudy& study) {
  std::vector<std::string> shown;
  const auto add = [&](const std::string& name) {
    const bool measured = std::ranges::any_of(study.points(), [&](const Point& point) {
      return point.metrics().contains(kValidation + name);
    });
    if (measured) shown.push_back(name);
    return measured;
  };
  add("loss");
  for (const char* name : {"auc", "accuracy", "rmse", "reconstruction_error"}) {
    if (add(name)) break;
  }
  return shown;
}

std::string Optional(bool known, double value, const char* format) {
  return known ? absl::StrFormat(absl::ParsedFormat<'f'>(format), value) : "";
}

double Of(const google::protobuf::Map<std::string, double>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? 0 : found->second;
}

std::string MetricsSaid(const v1::Task& task) {
  const auto& metrics = task.result().metrics();
  const auto compared = static_cast<int>(Of(metrics, "compared_models"));
  const auto different = static_cast<int>(Of(metrics, "different_models"));
  if (compared == 0) return "";
  if (different == 0) {
    return absl::StrCat(
        compared,
        compared == 1 ? " model that differs from another" : " models that differ from others",
        " in threads or repeat alone: the same, bit for bit\n");
  }
  return absl::StrCat("WARNING: ", different, " of ", compared,
                      " models that differ from others in threads or repeat alone are not the "
                      "same\n");
}

std::string CsvOf(const v1::ScalingStudy& study) {
  std::set<std::string> metrics;
  for (const Point& point : study.points()) {
    for (const auto& [name, value] : point.metrics()) metrics.insert(name);
  }
  std::vector<std::string> head;
  for (const std::string& key : study.keys()) head.push_back(CsvCell(key));
  for (const char* name :
       {"seconds", "examples", "epochs", "examples_per_second", "parameters", "used_threads"}) {
    head.emplace_back(name);
  }
  for (const std::string& key : study.keys()) head.push_back(CsvCell("speed_up." + key));
  head.emplace_back("efficiency");
  for (const std::string& name : metrics) head.push_back(CsvCell(name));
  head.emplace_back("failure");
  std::string csv = CsvLine(head);
  for (const Point& point : study.points()) {
    const bool good = !point.has_failure();
    std::vector<std::string> cells;
    for (const std::string& key : study.keys()) {
      cells.push_back(CsvCell(ValueText(point.values().at(key))));
    }
    for (const double number : {point.seconds(), static_cast<double>(point.examples()),
                                static_cast<double>(point.epochs()), point.examples_per_second(),
                                static_cast<double>(point.parameters()), point.threads()}) {
      cells.push_back(good ? ExactNumber(number) : "");
    }
    for (const std::string& key : study.keys()) {
      const auto found = point.speed_up().find(key);
      cells.push_back(found == point.speed_up().end() ? "" : ExactNumber(found->second));
    }
    cells.push_back(point.has_efficiency() ? ExactNumber(point.efficiency()) : "");
    for (const std::string& name : metrics) {
      const auto found = point.metrics().find(name);
      cells.push_back(found == point.metrics().end() ? "" : ExactNumber(found->second));
    }
    cells.push_back(CsvCell(point.failure().message()));
    csv += CsvLine(cells);
  }
  return csv;
}

// Plots of a study against one of its keys.
class KeyPlots {
 public:
  KeyPlots(const v1::ScalingStudy& study, std::string key, const TerminalTraits& traits)
      : study_(study), key_(std::move(key)), name_(NamesOf(study).at(key_)), traits_(traits) {
    for (const Point& point : study_.points()) {
      const google::protobuf::Value& value = point.values().at(key_);
      numbers_ = numbers_ && value.has_number_value();
      const std::string text = ValueText(value);
      if (std::ranges::find(labels_, text) == labels_.end()) labels_.push_back(text);
    }
  }

  // `value`: nothing where it is not known. `ideal`: what would be best, by the point.
  using Reading = std::function<bool(const Point&, double*)>;
  Figure Draw(const std::string& what, const std::string& y_name, bool from_zero,
              const Reading& value, const Reading& ideal = {}) const {
    std::map<std::string, Series> lines;
    Series best{.emphasis = Emphasis::kFaint, .joined = true, .label = "ideal", .dashed = true};
    std::vector<double> xs, ys;
    Figure figure{.name = absl::StrCat(what, ".", FileNameOf(name_)),
                  .title = absl::StrCat(y_name, " against ", name_)};
    figure.csv = CsvLine({CsvCell(name_), "others", CsvCell(y_name)});
    for (const Point& point : study_.points()) {
      double y = 0;
      if (point.has_failure() || !value(point, &y)) continue;
      xs.push_back(X(point));
      ys.push_back(y);
      lines[OtherValues(point)].points.push_back({xs.back(), y});
      figure.csv += CsvLine({CsvCell(ValueText(point.values().at(key_))),
                             CsvCell(OtherValues(point)), ExactNumber(y)});
      if (!ideal || !ideal(point, &y)) continue;
      ys.push_back(y);
      best.points.push_back({xs.back(), y});
    }
    if (xs.empty()) return figure;
    Plot plot;
    plot.x = numbers_ ? AxisOver(name_, xs, true) : AxisOf(name_, labels_);
    if (from_zero) ys.push_back(0);
    plot.y = AxisOver(y_name, ys, false);
    if (ideal) {
      std::ranges::sort(best.points, {}, &PlotPoint::x);
      plot.series.push_back(std::move(best));
    }
    int color = 0;
    for (auto& [label, line] : lines) {
      std::ranges::sort(line.points, {}, &PlotPoint::x);
      Series marks = line;
      marks.color = line.color = color++;
      line.label = label;
      line.joined = true;
      plot.series.push_back(std::move(line));
      plot.series.push_back(std::move(marks));
    }
    figure.svg = SvgDocument(kSvgWidth, kSvgHeight, figure.title, SvgPlot(plot, kPlotBox));
    figure.text = Picture(plot, traits_.utf8 ? 40 : 50, traits_.utf8 ? 12 : 16, traits_.utf8);
    return figure;
  }

  const std::string& name() const { return name_; }

 private:
  // What may stand in the name of a file.
  static std::string FileNameOf(const std::string& name) {
    std::string file;
    for (const char c : name) {
      const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
      file += plain ? c : '_';
    }
    return file;
  }

  double X(const Point& point) const {
    const google::protobuf::Value& value = point.values().at(key_);
    if (numbers_) return value.number_value();
    return static_cast<double>(std::ranges::find(labels_, ValueText(value)) - labels_.begin());
  }

  std::string OtherValues(const Point& point) const {
    auto others = point.values();
    others.erase(key_);
    return ParametersText(others, NamesOf(study_));
  }

  const v1::ScalingStudy& study_;
  const std::string key_;
  const std::string name_;
  const TerminalTraits& traits_;
  bool numbers_ = true;
  std::vector<std::string> labels_;
};

}  // namespace

std::string StudyTable(const v1::Task& task) {
  const v1::ScalingStudy& study = task.result().scaling();
  if (study.points().empty()) return "";
  const ShortNames names = NamesOf(study);
  const std::vector<std::string> metrics = ShownMetrics(study);
  const bool of_threads = std::ranges::find(study.keys(), kThreads) != study.keys().end();
  std::vector<Table::Column> columns;
  const auto add = [&](const std::string& name) {
    columns.push_back({name, Table::Align::kRight});
  };
  for (const std::string& key : study.keys()) add(names.at(key));
  for (const char* name : {"SECONDS", "EXAMPLES/S"}) add(name);
  for (const std::string& key : study.keys()) add("SPEED-UP BY " + names.at(key));
  if (of_threads) add("EFFICIENCY");
  add("PARAMETERS");
  for (const std::string& metric : metrics) add(metric);
  Table table(std::move(columns));
  std::string failures;
  for (const Point& point : study.points()) {
    std::vector<std::string> cells;
    for (const std::string& key : study.keys()) {
      cells.push_back(ValueText(point.values().at(key)));
    }
    if (point.has_failure()) {
      absl::StrAppend(&failures, "failed with ", ParametersText(point.values(), names), ": ",
                      Printable(FailureText(point.failure())), "\n");
      cells.emplace_back("failed");
      table.Add(std::move(cells));
      continue;
    }
    cells.push_back(ObjectiveText(point.seconds()));
    cells.push_back(HumanCount(point.examples_per_second()));
    for (const std::string& key : study.keys()) {
      cells.push_back(Optional(point.speed_up().contains(key), Of(point.speed_up(), key), "%.2f"));
    }
    if (of_threads) {
      cells.push_back(Optional(point.has_efficiency(), 100 * point.efficiency(), "%.0f%%"));
    }
    cells.push_back(HumanCount(static_cast<double>(point.parameters())));
    for (const std::string& metric : metrics) {
      const auto found = point.metrics().find(kValidation + metric);
      cells.push_back(found == point.metrics().end() ? "" : ObjectiveText(found->second));
    }
    table.Add(std::move(cells));
  }
  return absl::StrCat(Printable(task.step()), ": ", study.points_size(),
                      " combinations, trained one after the other\n", table.Render(), failures,
                      MetricsSaid(task));
}

std::vector<Figure> StudyFigures(const v1::ScalingStudy& study, const TerminalTraits& traits) {
  std::vector<Figure> figures = {{.name = "scaling", .title = "all numbers", .csv = CsvOf(study)}};
  for (const std::string& key : study.keys()) {
    const KeyPlots plots(study, key, traits);
    figures.push_back(
        plots.Draw("time", "training time, s", true, [](const Point& point, double* y) {
          *y = point.seconds();
          return true;
        }));
    KeyPlots::Reading ideal;
    if (key == kThreads) {
      ideal = [&](const Point& point, double* y) {
        *y = point.values().at(kThreads).number_value() /
             study.points(0).values().at(kThreads).number_value();
        return true;
      };
    }
    figures.push_back(plots.Draw(
        "speed_up", "speed-up", true,
        [&](const Point& point, double* y) {
          *y = Of(point.speed_up(), key);
          return point.speed_up().contains(key);
        },
        ideal));
    if (key == kThreads) {
      figures.push_back(
          plots.Draw("efficiency", "efficiency", true, [](const Point& point, double* y) {
            *y = point.efficiency();
            return point.has_efficiency();
          }));
    }
    for (const std::string& metric : ShownMetrics(study)) {
      Figure quality = plots.Draw("quality", metric, false, [&](const Point& point, double* y) {
        *y = Of(point.metrics(), kValidation + metric);
        return point.metrics().contains(kValidation + metric);
      });
      absl::StrAppend(&quality.name, ".", metric);
      figures.push_back(std::move(quality));
    }
  }
  return figures;
}

}  // namespace beamline::cli
