// Pictures of a receiver operating characteristic: true positive rate over false positive rate.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace beamline::cli {

// Both in [0, 1], ascending.
struct RocPoint {
  double false_positive_rate = 0;
  double true_positive_rate = 0;
};

// A picture of `columns` x `rows` characters plus axes. With `utf8` in Braille dots (2 x 4 in one
// character), else in ASCII. The diagonal is what guessing would give. Empty if there are fewer
// than two points.
std::string RocPicture(std::span<const RocPoint> points, int columns, int rows, bool utf8);

// A complete SVG 1.1 document, 480 x 480. `title` is escaped.
std::string RocSvg(std::span<const RocPoint> points, std::string_view title);

// Area under the curve by the trapezoidal rule.
double AreaUnder(std::span<const RocPoint> points);

}  // namespace beamline::cli
