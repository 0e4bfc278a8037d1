#include "clients/cli/svg.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "clients/cli/format.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {
namespace {

constexpr double kBarHeight = 22;
constexpr size_t kLongestLabel = 12;
constexpr size_t kLongestName = 48;
// Of a legend.
constexpr size_t kLongestEntry = 18;

// Without what XML does not allow: it becomes a blank.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("\xEF\xBF\xBE") || rest.starts_with("\xEF\xBF\xBF")) {
      escaped += ' ';
      i += 2;
      continue;
    }
    switch (text[i]) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += static_cast<unsigned char>(text[i]) < 0x20 ? ' ' : text[i];
    }
  }
  return escaped;
}

std::string Shortened(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  return CutToWidth(text, width - 3) + "...";
}

std::string_view ColorOf(Emphasis emphasis) {
  switch (emphasis) {
    case Emphasis::kFaint:
      return "#a0a0a0";
    case Emphasis::kPlain:
      return "#5b9bd5";
    case Emphasis::kStrong:
      return "#0b62a4";
  }
  return "black";
}

// Of series that are told apart by colour (Okabe and Ito 2008: also by the colour-blind).
std::string_view ColorOf(const Series& series) {
  static constexpr std::string_view kPalette[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                  "#e69f00", "#56b4e9", "#7f7f7f", "#000000"};
  if (series.color < 0) return ColorOf(series.emphasis);
  return kPalette[static_cast<size_t>(series.color) % std::size(kPalette)];
}

std::string DashesOf(const Series& series) {
  const bool faint = series.color < 0 && series.emphasis == Emphasis::kFaint;
  return faint || series.dashed ? " stroke-dasharray=\"5 4\"" : "";
}

std::string SvgSeries(const Plot& plot, const Series& series, const Box& box) {
  std::string marks;
  std::string path;
  for (const PlotPoint& point : series.points) {
    const double across = plot.x.Position(point.x);
    const double up = plot.y.Position(point.y);
    if (!std::isfinite(across) || !std::isfinite(up)) continue;
    const double x = box.left + box.width * std::clamp(across, 0.0, 1.0);
    const double y = box.top + box.height * (1 - std::clamp(up, 0.0, 1.0));
    absl::StrAppendFormat(&path, "%s%.2f,%.2f", path.empty() ? "" : " ", x, y);
    absl::StrAppendFormat(&marks, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%d\" fill=\"%s\"/>\n", x, y,
                          series.emphasis == Emphasis::kStrong ? 4 : 3, A(ColorOf(series)));
  }
  if (!series.joined) return marks;
  return absl::StrFormat(
      "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\"%s/>\n", path,
      A(ColorOf(series)), series.emphasis == Emphasis::kFaint ? "1" : "2", DashesOf(series));
}

// At the right of the box, beyond it.
std::string SvgLegend(const Plot& plot, const Box& box) {
  std::string text;
  double y = box.top + 8;
  const double x = box.left + box.width + 12;
  for (const Series& series : plot.series) {
    if (series.label.empty()) continue;
    absl::StrAppendFormat(&text, "<path d=\"M%.2f,%.2fh18\" stroke=\"%s\" stroke-width=\"2\"%s/>\n",
                          x, y, A(ColorOf(series)), DashesOf(series));
    text += SvgText(x + 24, y + 4, "text-anchor=\"start\"", Shortened(series.label, kLongestEntry));
    y += 18;
  }
  return text;
}

std::string SvgTitle(const Box& box, std::string_view title) {
  if (title.empty()) return "";
  return SvgText(box.left + box.width / 2, box.top - 10,
                 "text-anchor=\"middle\" font-weight=\"bold\"", Shortened(title, kLongestName));
}

}  // namespace

std::string SvgText(double x, double y, std::string_view attributes, std::string_view text) {
  return absl::StrFormat("<text x=\"%.2f\" y=\"%.2f\" %s>%s</text>\n", x, y, A(attributes),
                         Escaped(text));
}

std::string SvgDocument(int width, int height, std::string_view title, std::string_view body) {
  return absl::StrFormat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n%s%s</svg>\n",
      width, height, width, height, width, height,
      SvgText(width / 2, 28, "text-anchor=\"middle\" font-size=\"15\"", title), A(body));
}

std::string SvgPlot(const Plot& plot, const Box& box) {
  const double bottom = box.top + box.height;
  const double right = box.left + box.width;
  std::string text = SvgTitle(box, plot.title);
  for (const Tick& tick : plot.x.ticks) {
    const double x = box.left + box.width * plot.x.Position(tick.at);
    absl::StrAppendFormat(&text, "<path d=\"M%.2f,%.2fV%.2f\" stroke=\"#e0e0e0\"/>\n", x, bottom,
                          box.top);
    text += SvgText(x, bottom + 18, "text-anchor=\"middle\"", Shortened(tick.label, kLongestLabel));
  }
  size_t label_width = 0;
  for (const Tick& tick : plot.y.ticks) {
    label_width = std::max(label_width, std::min(DisplayWidth(tick.label), kLongestLabel));
    const double y = box.top + box.height * (1 - plot.y.Position(tick.at));
    absl::StrAppendFormat(&text, "<path d=\"M%.2f,%.2fH%.2f\" stroke=\"#e0e0e0\"/>\n", box.left, y,
                          right);
    text +=
        SvgText(box.left - 8, y + 4, "text-anchor=\"end\"", Shortened(tick.label, kLongestLabel));
  }
  absl::StrAppendFormat(&text,
                        "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
                        "fill=\"none\" stroke=\"#404040\"/>\n",
                        box.left, box.top, box.width, box.height);
  for (const Series& series : plot.series) text += SvgSeries(plot, series, box);
  text += SvgLegend(plot, box);
  text += SvgText(box.left + box.width / 2, bottom + 40, "text-anchor=\"middle\"",
                  Shortened(plot.x.name, kLongestName));
  absl::StrAppendFormat(&text, "<g transform=\"translate(%.2f,%.2f) rotate(-90)\">\n%s</g>\n",
                        box.left - std::max(42.0, 20 + 6.0 * static_cast<double>(label_width)),
                        box.top + box.height / 2,
                        SvgText(0, 0, "text-anchor=\"middle\"", Shortened(plot.y.name, 30)));
  return text;
}

std::string SvgBars(std::string_view title,
                    const std::vector<std::pair<std::string, double>>& shares, const Box& box) {
  std::string text = SvgTitle(box, title);
  double y = box.top;
  for (const auto& [name, share] : shares) {
    if (y + kBarHeight > box.top + box.height) break;
    absl::StrAppendFormat(
        &text, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#a9cbea\"/>\n",
        box.left, y, box.width * std::clamp(share, 0.0, 1.0), kBarHeight - 6);
    text += SvgText(box.left + 6, y + 12, "text-anchor=\"start\"",
                    absl::StrFormat("%s  %.0f%%", Shortened(name, kLongestName), 100 * share));
    y += kBarHeight;
  }
  return text;
}

std::string SvgErrorBars(const std::vector<LabelledBar>& bars, const Box& box) {
  double low = 0, high = 0;
  for (const LabelledBar& bar : bars) {
    low = std::min(low, bar.value - bar.error);
    high = std::max(high, bar.value + bar.error);
  }
  const double range = high > low ? high - low : 1;
  const auto place = [&](double value) { return box.left + box.width * (value - low) / range; };
  std::string text;
  double y = box.top;
  for (const LabelledBar& bar : bars) {
    const double from = place(std::min(0.0, bar.value)), to = place(std::max(0.0, bar.value));
    absl::StrAppendFormat(
        &text, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"#a9cbea\"/>\n",
        from, y, to - from, kBarHeight - 6);
    absl::StrAppendFormat(&text, "<path d=\"M%.2f,%.2fH%.2f\" stroke=\"#404040\"/>\n",
                          place(bar.value - bar.error), y + kBarHeight / 2 - 3,
                          place(bar.value + bar.error));
    text += SvgText(box.left - 8, y + 12, "text-anchor=\"end\"", Shortened(bar.name, 26));
    const double behind = std::max(to, place(bar.value + bar.error)) + 6;
    text += SvgText(behind, y + 12, "text-anchor=\"start\" font-size=\"10\" fill=\"#404040\"",
                    absl::StrFormat("%.4g", bar.value));
    y += kBarHeight;
  }
  return text;
}

}  // namespace beamline::cli
