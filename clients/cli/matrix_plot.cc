#include "clients/cli/matrix_plot.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "clients/cli/csv.h"
#include "clients/cli/format.h"
#include "clients/cli/svg.h"
#include "clients/cli/table.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {
namespace {

constexpr size_t kMostInText = 20;
constexpr size_t kMostInSvg = 200;

std::string NumberIn(const Matrix& matrix, double value) {
  if (!std::isfinite(value)) return "-";
  return matrix.shades == Shades::kSigned ? absl::StrFormat("%.3f", value) : HumanNumber(value, 5);
}

// From white to blue; below 0 to orange.
std::string ColorOf(double share) {
  if (!std::isfinite(share)) return "#e0e0e0";
  const double depth = std::min(std::abs(share), 1.0);
  const auto mix = [&](int full) {
    return static_cast<int>(std::lround(255 - depth * (255 - full)));
  };
  return share >= 0 ? absl::StrFormat("#%02x%02x%02x", mix(0), mix(114), mix(178))
                    : absl::StrFormat("#%02x%02x%02x", mix(213), mix(94), mix(0));
}

double ShadeOf(const Matrix& matrix, size_t row, size_t column) {
  const size_t size = matrix.names.size();
  const double value = matrix.values[row * size + column];
  if (matrix.shades == Shades::kSigned) return value;
  double sum = 0;
  for (size_t k = 0; k < size; ++k) sum += matrix.values[row * size + k];
  return sum != 0 ? value / sum : 0;
}

}  // namespace

std::string MatrixCsv(const Matrix& matrix) {
  std::vector<std::string> cells = {
      CsvCell(absl::StrCat(matrix.row_axis, "\\", matrix.column_axis))};
  if (matrix.row_axis.empty()) cells = {""};
  for (const std::string& name : matrix.names) cells.push_back(CsvCell(name));
  std::string csv = CsvLine(cells);
  const size_t size = matrix.names.size();
  for (size_t row = 0; row < size; ++row) {
    cells = {CsvCell(matrix.names[row])};
    for (size_t column = 0; column < size; ++column) {
      const double value = matrix.values[row * size + column];
      cells.push_back(std::isfinite(value) ? ExactNumber(value) : "");
    }
    csv += CsvLine(cells);
  }
  return csv;
}

std::string MatrixSvg(const Matrix& matrix, std::string_view title) {
  const size_t size = matrix.names.size();
  if (size == 0 || size > kMostInSvg) return "";
  const double cell = std::clamp(600.0 / static_cast<double>(size), 4.0, 64.0);
  const double left = 150, top = 150;
  std::string body;
  for (size_t row = 0; row < size; ++row) {
    for (size_t column = 0; column < size; ++column) {
      const double x = left + cell * static_cast<double>(column);
      const double y = top + cell * static_cast<double>(row);
      const double shade = ShadeOf(matrix, row, column);
      absl::StrAppendFormat(
          &body, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x, y,
          cell, cell, ColorOf(shade));
      if (size > kMostInText) continue;
      body +=
          SvgText(x + cell / 2, y + cell / 2 + 4,
                  std::abs(shade) > 0.6 ? "text-anchor=\"middle\" font-size=\"10\" fill=\"white\""
                                        : "text-anchor=\"middle\" font-size=\"10\"",
                  NumberIn(matrix, matrix.values[row * size + column]));
    }
    const double middle = cell * (static_cast<double>(row) + 0.5);
    if (cell < 9) continue;
    body += SvgText(left - 6, top + middle + 4, "text-anchor=\"end\" font-size=\"11\"",
                    CutToWidth(matrix.names[row], 20));
    absl::StrAppendFormat(
        &body, "<g transform=\"translate(%.2f,%.2f) rotate(-60)\">\n%s</g>\n", left + middle,
        top - 6,
        SvgText(0, 0, "text-anchor=\"start\" font-size=\"11\"", CutToWidth(matrix.names[row], 20)));
  }
  const double extent = cell * static_cast<double>(size);
  if (!matrix.row_axis.empty()) {
    body += SvgText(left + extent / 2, top + extent + 24, "text-anchor=\"middle\"",
                    absl::StrCat("rows: ", matrix.row_axis, ", columns: ", matrix.column_axis));
  }
  return SvgDocument(static_cast<int>(left + extent + 60), static_cast<int>(top + extent + 50),
                     title, body);
}

std::string MatrixText(const Matrix& matrix) {
  const size_t size = matrix.names.size();
  if (size == 0 || size > kMostInText) return "";
  std::vector<Table::Column> columns = {
      {matrix.row_axis.empty() ? "" : absl::StrCat(matrix.row_axis, " \\ ", matrix.column_axis)}};
  for (const std::string& name : matrix.names) columns.push_back({name, Table::Align::kRight});
  Table table(std::move(columns));
  for (size_t row = 0; row < size; ++row) {
    std::vector<std::string> cells = {matrix.names[row]};
    for (size_t column = 0; column < size; ++column) {
      cells.push_back(NumberIn(matrix, matrix.values[row * size + column]));
    }
    table.Add(std::move(cells));
  }
  return table.Render();
}

}  // namespace beamline::cli
