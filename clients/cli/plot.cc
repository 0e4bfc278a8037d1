#include "clients/cli/plot.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/format.h"

namespace beamline::cli {
namespace {

constexpr double kWide = 30;
constexpr size_t kMostTicks = 7;
// Beyond this, and below one over it, there is no room to round.
constexpr double kHuge = 1e300;

bool IsFinite(const PlotPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

// Black-and-white picture; (0, 0) is the upper left dot.
class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width), height_(height), dots_(static_cast<size_t>(width) * height, false) {}

  // Of the unit square, y upwards.
  void Dot(double x, double y) {
    const int column = std::clamp(static_cast<int>(std::lround(x * (width_ - 1))), 0, width_ - 1);
    const int row =
        std::clamp(static_cast<int>(std::lround((1 - y) * (height_ - 1))), 0, height_ - 1);
    dots_[static_cast<size_t>(row) * width_ + column] = true;
  }

  void Line(const PlotPoint& from, const PlotPoint& to) {
    const double dx = to.x - from.x;
    const double dy = to.y - from.y;
    const int steps =
        1 + static_cast<int>(2 * std::max(std::abs(dx) * width_, std::abs(dy) * height_));
    for (int i = 0; i <= steps; ++i) {
      const double t = static_cast<double>(i) / steps;
      Dot(from.x + t * dx, from.y + t * dy);
    }
  }

  bool At(int column, int row) const { return dots_[static_cast<size_t>(row) * width_ + column]; }

 private:
  const int width_;
  const int height_;
  std::vector<bool> dots_;
};

// UTF-8 of U+2800 + `bits`.
std::string Braille(int bits) {
  return {static_cast<char>(0xE2), static_cast<char>(0xA0 | (bits >> 6)),
          static_cast<char>(0x80 | (bits & 0x3F))};
}

// Empty if none of its dots is set.
std::string BrailleCell(const Canvas& canvas, int column, int row) {
  static constexpr int kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  int bits = 0;
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 2; ++x) {
      if (canvas.At(2 * column + x, 4 * row + y)) bits |= kBits[y][x];
    }
  }
  return bits == 0 ? "" : Braille(bits);
}

std::string MarkOf(Emphasis emphasis, bool utf8) {
  switch (emphasis) {
    case Emphasis::kFaint:
      return utf8 ? "\u00b7" : ".";
    case Emphasis::kPlain:
      return utf8 ? "\u25cb" : "o";
    case Emphasis::kStrong:
      return utf8 ? "\u25cf" : "*";
  }
  return "?";
}

// Characters of a picture.
class Grid {
 public:
  Grid(int columns, int rows, bool utf8)
      : columns_(columns), rows_(rows), utf8_(utf8), cells_(static_cast<size_t>(columns) * rows) {}

  // `points` of the unit square.
  void Draw(const std::vector<PlotPoint>& points, const Series& series) {
    const std::string mark = MarkOf(series.emphasis, utf8_);
    const bool fine = series.joined && utf8_;
    Canvas canvas(fine ? 2 * columns_ : columns_, fine ? 4 * rows_ : rows_);
    for (size_t i = 0; i < points.size(); ++i) {
      if (!IsFinite(points[i])) continue;
      if (!series.joined) canvas.Dot(points[i].x, points[i].y);
      if (series.joined && i > 0 && IsFinite(points[i - 1])) canvas.Line(points[i - 1], points[i]);
    }
    for (int row = 0; row < rows_; ++row) {
      for (int column = 0; column < columns_; ++column) {
        const std::string drawn = fine                     ? BrailleCell(canvas, column, row)
                                  : canvas.At(column, row) ? mark
                                                           : "";
        if (!drawn.empty()) cells_[static_cast<size_t>(row) * columns_ + column] = drawn;
      }
    }
  }

  // Without blanks at its end.
  std::string Row(int row) const {
    std::string line;
    for (int column = 0; column < columns_; ++column) {
      const std::string& cell = cells_[static_cast<size_t>(row) * columns_ + column];
      line += cell.empty() ? " " : cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
  }

 private:
  const int columns_;
  const int rows_;
  const bool utf8_;
  std::vector<std::string> cells_;
};

// 1, 2 or 5 times a power of ten: the smallest that is at least `value`, or the largest that is at
// most that. `value` > 0.
double Round(double value, bool up) {
  constexpr double kSlack = 1e-9;
  const double power = std::pow(10, std::floor(std::log10(value)));
  double below = power / 2;
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    const double candidate = factor * power;
    if (up && candidate >= value * (1 - kSlack)) return candidate;
    if (!up && candidate > value * (1 + kSlack)) return below;
    below = candidate;
  }
  return below;
}

void AddLogarithmicTicks(double min, double max, Axis* axis) {
  axis->min = Round(min, false);
  axis->max = Round(max, true);
  std::vector<double> all;
  for (double at = axis->min; at <= axis->max * 1.001; at = Round(at * 1.5, true)) {
    all.push_back(at);
  }
  const bool dense = all.size() > kMostTicks;
  // Every power of ten, every second, ...
  const double stride =
      std::ceil(std::log10(all.back()) / kMostTicks - std::log10(all.front()) / kMostTicks);
  for (size_t i = 0; i < all.size(); ++i) {
    const double exponent = std::log10(all[i]);
    const bool is_end = i == 0 || i + 1 == all.size();
    const bool is_power = std::abs(std::remainder(exponent, stride)) < 1e-6;
    // Next to an end there is no room for another label.
    const bool crowds = i == 1 || i + 2 == all.size();
    if (dense && !is_end && (!is_power || crowds)) continue;
    axis->ticks.push_back({all[i], HumanNumber(all[i], 3)});
  }
  axis->min = axis->ticks.front().at;
  axis->max = axis->ticks.back().at;
}

void AddLinearTicks(double min, double max, Axis* axis) {
  if (max - min <= 1e-9 * std::max(std::abs(min), std::abs(max))) {
    const double room = min == 0 ? 1 : 0.1 * std::abs(min);
    min -= room;
    max += room;
  }
  const double step = Round((max - min) / 4, true);
  const auto first = static_cast<int64_t>(std::floor(min / step + 1e-6));
  const auto last = static_cast<int64_t>(std::ceil(max / step - 1e-6));
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-6)));
  const bool plain = decimals <= 6 && std::max(std::abs(min), std::abs(max)) < 1e6;
  for (int64_t i = first; i <= last; ++i) {
    const double at = static_cast<double>(i) * step;
    axis->ticks.push_back({at, plain ? absl::StrFormat("%.*f", decimals, at) : HumanNumber(at, 6)});
  }
  axis->min = axis->ticks.front().at;
  axis->max = axis->ticks.back().at;
}

}  // namespace

double Axis::Position(double value) const {
  if (logarithmic) return (std::log(value) - std::log(min)) / (std::log(max) - std::log(min));
  return (value - min) / (max - min);
}

Axis AxisOver(std::string name, std::span<const double> values, bool may_be_logarithmic) {
  Axis axis;
  axis.name = std::move(name);
  double min = INFINITY;
  double max = -INFINITY;
  for (double value : values) {
    if (!(std::abs(value) < kHuge)) continue;
    if (std::abs(value) * kHuge < 1) value = 0;
    min = std::min(min, value);
    max = std::max(max, value);
  }
  if (min > max) {
    min = 0;
    max = 1;
  }
  axis.logarithmic = may_be_logarithmic && min > 0 && max >= kWide * min;
  axis.logarithmic ? AddLogarithmicTicks(min, max, &axis) : AddLinearTicks(min, max, &axis);
  return axis;
}

Axis AxisOf(std::string name, const std::vector<std::string>& labels) {
  Axis axis;
  axis.name = std::move(name);
  axis.min = -0.5;
  axis.max = std::max<double>(labels.size(), 1) - 0.5;
  for (size_t i = 0; i < labels.size(); ++i) {
    axis.ticks.push_back({static_cast<double>(i), labels[i]});
  }
  return axis;
}

std::string Picture(const Plot& plot, int columns, int rows, bool utf8) {
  if (columns < 2 || rows < 2) return "";
  Grid grid(columns, rows, utf8);
  for (const Series& series : plot.series) {
    std::vector<PlotPoint> points;
    for (const PlotPoint& point : series.points) {
      points.push_back({std::clamp(plot.x.Position(point.x), 0.0, 1.0),
                        std::clamp(plot.y.Position(point.y), 0.0, 1.0)});
    }
    grid.Draw(points, series);
  }
  std::vector<std::string> labels(rows);
  size_t width = 0;
  for (const Tick& tick : plot.y.ticks) {
    const double row = (1 - plot.y.Position(tick.at)) * (rows - 1);
    labels[std::clamp(static_cast<int>(std::lround(row)), 0, rows - 1)] = tick.label;
    width = std::max(width, DisplayWidth(tick.label));
  }
  std::string text = Printable(plot.y.name) + "\n";
  for (int row = 0; row < rows; ++row) {
    const std::string space(width - DisplayWidth(labels[row]), ' ');
    absl::StrAppend(&text, space, labels[row], utf8 ? " \u2502" : " |", grid.Row(row), "\n");
  }
  absl::StrAppend(&text, std::string(width + 1, ' '), utf8 ? "\u2514" : "+");
  for (int column = 0; column < columns; ++column) text += utf8 ? "\u2500" : "-";
  const std::string first = plot.x.ticks.empty() ? "" : plot.x.ticks.front().label;
  const std::string last = plot.x.ticks.empty() ? "" : plot.x.ticks.back().label;
  const std::string name = Printable(plot.x.name);
  const size_t taken = DisplayWidth(first) + DisplayWidth(name) + DisplayWidth(last);
  const size_t space = std::max<size_t>(columns, taken) - taken;
  absl::StrAppend(&text, "\n", std::string(width + 2, ' '), first, std::string(space / 2, ' '),
                  name, std::string(space - space / 2, ' '), last, "\n");
  return text;
}

}  // namespace beamline::cli
