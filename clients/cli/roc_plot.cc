#include "clients/cli/roc_plot.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace beamline::cli {
namespace {

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

  void Line(const RocPoint& from, const RocPoint& to) {
    const double dx = to.false_positive_rate - from.false_positive_rate;
    const double dy = to.true_positive_rate - from.true_positive_rate;
    const int steps =
        1 + static_cast<int>(2 * std::max(std::abs(dx) * width_, std::abs(dy) * height_));
    for (int i = 0; i <= steps; ++i) {
      const double t = static_cast<double>(i) / steps;
      Dot(from.false_positive_rate + t * dx, from.true_positive_rate + t * dy);
    }
  }

  bool At(int column, int row) const { return dots_[static_cast<size_t>(row) * width_ + column]; }

 private:
  const int width_;
  const int height_;
  std::vector<bool> dots_;
};

bool IsFinite(const RocPoint& point) {
  return std::isfinite(point.false_positive_rate) && std::isfinite(point.true_positive_rate);
}

void Draw(std::span<const RocPoint> points, Canvas& canvas) {
  for (size_t i = 1; i < points.size(); ++i) {
    if (IsFinite(points[i - 1]) && IsFinite(points[i])) canvas.Line(points[i - 1], points[i]);
  }
}

// UTF-8 of U+2800 + `bits`.
std::string Braille(int bits) {
  return {static_cast<char>(0xE2), static_cast<char>(0xA0 | (bits >> 6)),
          static_cast<char>(0x80 | (bits & 0x3F))};
}

std::string BrailleCell(const Canvas& canvas, int column, int row) {
  static constexpr int kBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
  int bits = 0;
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 2; ++x) {
      if (canvas.At(2 * column + x, 4 * row + y)) bits |= kBits[y][x];
    }
  }
  return bits == 0 ? " " : Braille(bits);
}

// Label at the left of a row: the ends and the middle of the axis.
std::string AxisLabel(int row, int rows) {
  if (row == 0) return "1.0";
  if (row == rows - 1) return "0.0";
  return row == rows / 2 ? "0.5" : "   ";
}

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
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
        escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return escaped;
}

}  // namespace

std::string RocPicture(std::span<const RocPoint> points, int columns, int rows, bool utf8) {
  if (points.size() < 2 || columns < 2 || rows < 2) return "";
  Canvas canvas(utf8 ? 2 * columns : columns, utf8 ? 4 * rows : rows);
  Draw(points, canvas);
  std::string text = "true positive rate\n";
  for (int row = 0; row < rows; ++row) {
    std::string line = AxisLabel(row, rows) + (utf8 ? " \u2502" : " |");
    for (int column = 0; column < columns; ++column) {
      // The diagonal of pure guessing is drawn lighter than the curve, and only where that is not.
      const int diagonal = (columns - 1) * (rows - 1 - row) / (rows - 1);
      std::string cell = utf8 ? BrailleCell(canvas, column, row)
                              : (canvas.At(column, row) ? std::string("*") : std::string(" "));
      if (cell == " " && column == diagonal) cell = utf8 ? "\u00b7" : ".";
      line += cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  text += utf8 ? "    \u2514" : "    +";
  for (int column = 0; column < columns; ++column) text += utf8 ? "\u2500" : "-";
  constexpr std::string_view kName = "false positive rate";
  const int space = std::max(columns - 2 - static_cast<int>(kName.size()), 0);
  absl::StrAppendFormat(&text, "\n     0%s%s%s1\n", std::string(space / 2, ' '), kName,
                        std::string(space - space / 2, ' '));
  return text;
}

std::string RocSvg(std::span<const RocPoint> points, std::string_view title) {
  std::string path;
  for (const RocPoint& point : points) {
    if (!IsFinite(point)) continue;
    absl::StrAppendFormat(&path, "%s%.2f,%.2f", path.empty() ? "" : " ",
                          60 + 380 * point.false_positive_rate,
                          430 - 380 * point.true_positive_rate);
  }
  std::string ticks;
  for (int i = 0; i <= 10; i += 2) {
    const int at = 38 * i;
    absl::StrAppendFormat(&ticks,
                          "<text x=\"%d\" y=\"448\" text-anchor=\"middle\">%.1f</text>\n"
                          "<text x=\"52\" y=\"%d\" text-anchor=\"end\">%.1f</text>\n"
                          "<path d=\"M%d,430V50M60,%dH440\" stroke=\"#e0e0e0\"/>\n",
                          60 + at, i / 10.0, 434 - at, i / 10.0, 60 + at, 430 - at);
  }
  return absl::StrFormat(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"480\" height=\"480\" "
      "viewBox=\"0 0 480 480\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"480\" height=\"480\" fill=\"white\"/>\n"
      "<text x=\"250\" y=\"28\" text-anchor=\"middle\" font-size=\"15\">%s</text>\n%s"
      "<rect x=\"60\" y=\"50\" width=\"380\" height=\"380\" fill=\"none\" stroke=\"#404040\"/>\n"
      "<path d=\"M60,430L440,50\" stroke=\"#a0a0a0\" stroke-dasharray=\"5 4\"/>\n"
      "<polyline points=\"%s\" fill=\"none\" stroke=\"#0b62a4\" stroke-width=\"2\"/>\n"
      "<text x=\"250\" y=\"470\" text-anchor=\"middle\">false positive rate</text>\n"
      "<text transform=\"translate(18,240) rotate(-90)\" text-anchor=\"middle\">"
      "true positive rate</text>\n"
      "<text x=\"430\" y=\"420\" text-anchor=\"end\" font-size=\"14\">AUC %.4f</text>\n</svg>\n",
      Escaped(title), ticks, path, AreaUnder(points));
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
