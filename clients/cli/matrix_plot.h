// Square tables of numbers between names: confusion matrices, correlations.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace beamline::cli {

// What the shade of a cell stands for.
enum class Shades {
  kShareOfRow,  // its part of the sum of its row
  kSigned,      // its value from -1 (one colour) to 1 (another)
};

struct Matrix {
  // What rows and columns are.
  std::string row_axis;
  std::string column_axis;
  std::vector<std::string> names;
  // Row by row; NaN: there is none.
  std::vector<double> values;
  Shades shades = Shades::kShareOfRow;
};

// A header with the names, then a row for each; a cell without a number is empty.
std::string MatrixCsv(const Matrix& matrix);

// A complete document; empty for more than 200 names. Numbers stand in the cells of up to 20.
std::string MatrixSvg(const Matrix& matrix, std::string_view title);

// A table; of more than 20 names empty.
std::string MatrixText(const Matrix& matrix);

}  // namespace beamline::cli
