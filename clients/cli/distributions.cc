#include "clients/cli/distributions.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "clients/cli/csv.h"
#include "clients/cli/format.h"
#include "clients/cli/plot.h"
#include "clients/cli/svg.h"
#include "clients/cli/table.h"

namespace beamline::cli {
namespace {

constexpr size_t kMostBlocks = 60;

// A character for a share in [0, 1]; above 0 it is no blank.
std::string Block(double share, bool utf8) {
  static constexpr const char* kBlocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                            "\u2585", "\u2586", "\u2587", "\u2588"};
  static constexpr std::string_view kAscii = " .:-=+*#@";
  const int level = share > 0 ? 1 + static_cast<int>(7 * std::min(share, 1.0)) : 0;
  return utf8 ? kBlocks[level] : std::string(1, kAscii[static_cast<size_t>(level)]);
}

// Sums of so many neighbours that at most kMostBlocks are left.
std::vector<double> Merged(const std::vector<double>& counts) {
  const size_t each = (counts.size() + kMostBlocks - 1) / kMostBlocks;
  std::vector<double> sums;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (i % std::max<size_t>(each, 1) == 0) sums.push_back(0);
    sums.back() += counts[i];
  }
  return sums;
}

std::string CategoryTable(const Distribution& distribution) {
  std::vector<Table::Column> columns = {{distribution.column}};
  for (const auto& series : distribution.series) {
    columns.push_back({series.label.empty() ? "COUNT" : series.label, Table::Align::kRight});
  }
  Table table(std::move(columns));
  for (size_t i = 0; i < distribution.categories.size(); ++i) {
    std::vector<std::string> cells = {distribution.categories[i]};
    for (const auto& series : distribution.series) {
      cells.push_back(HumanNumber(series.counts[i], 6));
    }
    table.Add(std::move(cells));
  }
  return table.Render();
}

// From the left end of the first bin to the right end of the last.
std::vector<PlotPoint> Steps(const Distribution& distribution, const Distribution::Series& series) {
  std::vector<PlotPoint> points;
  const bool bins = !distribution.edges.empty();
  for (size_t i = 0; i < series.counts.size(); ++i) {
    const auto place = static_cast<double>(i);
    points.push_back({bins ? distribution.edges[i] : place - 0.5, series.counts[i]});
    points.push_back({bins ? distribution.edges[i + 1] : place + 0.5, series.counts[i]});
  }
  return points;
}

}  // namespace

std::string DistributionCsv(const Distribution& distribution) {
  const bool bins = !distribution.edges.empty();
  std::vector<std::string> cells;
  if (bins) {
    cells = {"low", "high"};
  } else {
    cells = {"category"};
  }
  for (const auto& series : distribution.series) {
    cells.push_back(CsvCell(series.label.empty() ? "count" : series.label));
  }
  std::string csv = CsvLine(cells);
  const size_t rows = bins ? distribution.edges.size() - 1 : distribution.categories.size();
  for (size_t i = 0; i < rows; ++i) {
    if (bins) {
      cells = {ExactNumber(distribution.edges[i]), ExactNumber(distribution.edges[i + 1])};
    } else {
      cells = {CsvCell(distribution.categories[i])};
    }
    for (const auto& series : distribution.series) cells.push_back(ExactNumber(series.counts[i]));
    csv += CsvLine(cells);
  }
  return csv;
}

std::string DistributionSvg(const Distribution& distribution, std::string_view title) {
  Plot plot;
  std::vector<double> counts = {0};
  for (const auto& series : distribution.series) {
    counts.insert(counts.end(), series.counts.begin(), series.counts.end());
    plot.series.push_back({.points = Steps(distribution, series),
                           .emphasis = Emphasis::kStrong,
                           .joined = true,
                           .label = series.label,
                           .color = series.color,
                           .dashed = series.dashed});
  }
  plot.x = distribution.edges.empty() ? AxisOf(distribution.column, distribution.categories)
                                      : AxisOver(distribution.column, distribution.edges, false);
  plot.y = AxisOver("rows", counts, false);
  return SvgDocument(680, 420, title, SvgPlot(plot, {90, 60, 420, 280}));
}

std::string DistributionText(const Distribution& distribution, const TerminalTraits& traits) {
  if (distribution.edges.empty()) return CategoryTable(distribution);
  size_t label_width = 0;
  for (const auto& series : distribution.series) {
    label_width = std::max(label_width, DisplayWidth(Printable(series.label)));
  }
  std::string text;
  size_t width = 0;
  for (const auto& series : distribution.series) {
    const std::vector<double> counts = Merged(series.counts);
    const double most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
    const double sum = std::accumulate(counts.begin(), counts.end(), 0.0);
    width = counts.size();
    const std::string label = Printable(series.label);
    absl::StrAppend(&text, label, std::string(label_width - DisplayWidth(label), ' '),
                    traits.utf8 ? " \u2502" : " |");
    for (const double count : counts) text += Block(most > 0 ? count / most : 0, traits.utf8);
    absl::StrAppend(&text, traits.utf8 ? "\u2502 " : "| ", HumanNumber(sum, 6), "\n");
  }
  const std::string first = HumanNumber(distribution.edges.front());
  const std::string last = HumanNumber(distribution.edges.back());
  const std::string name = Printable(distribution.column);
  const size_t taken = first.size() + DisplayWidth(name) + last.size();
  const size_t space = std::max(width, taken + 2) - taken;
  absl::StrAppend(&text, std::string(label_width + 2, ' '), first, std::string(space / 2, ' '),
                  name, std::string(space - space / 2, ' '), last, "\n");
  return text;
}

}  // namespace beamline::cli
