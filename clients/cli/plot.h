// Points and lines over two axes, drawn in a terminal (here) or as SVG (svg.h).
#pragma once

#include <span>
#include <string>
#include <vector>

namespace beamline::cli {

struct Tick {
  double at = 0;
  std::string label;
};

struct Axis {
  std::string name;
  double min = 0;
  double max = 1;
  bool logarithmic = false;
  // Ascending, from min to max.
  std::vector<Tick> ticks = {};

  // Where `value` lies: 0 at min, 1 at max. Not finite where there is no such place.
  double Position(double value) const;
};

// From the smallest to the largest of the values that are finite, out to round numbers, which are
// its first and last tick. With `may_be_logarithmic` it is so if all are above 0 and the largest is
// at least 30 times the smallest.
Axis AxisOver(std::string name, std::span<const double> values, bool may_be_logarithmic);

// A place for each label, at 0, 1, 2, ...
Axis AxisOf(std::string name, const std::vector<std::string>& labels);

struct PlotPoint {
  double x = 0;
  double y = 0;
};

// How much a series stands out.
enum class Emphasis { kFaint, kPlain, kStrong };

struct Series {
  std::vector<PlotPoint> points = {};
  Emphasis emphasis = Emphasis::kPlain;
  // Drawn as a line through the points in their order; else a mark for each.
  bool joined = false;
  // As SVG: what its colour stands for, in a legend; empty: it has no entry there.
  std::string label = {};
  // As SVG: of the series that are told apart by colour, 0, 1, ...; below 0: the emphasis decides.
  int color = -1;
  // As SVG: of a line.
  bool dashed = false;
};

struct Plot {
  std::string title;
  Axis x;
  Axis y;
  // Later ones are drawn over earlier ones. Points beyond an axis are drawn at its end; those that
  // are no numbers are left out.
  std::vector<Series> series;
};

// A picture of `columns` x `rows` characters plus axes, without the title. With `utf8` lines are
// made of Braille dots (2 x 4 in one character), else all is ASCII. Empty if it would be smaller
// than 2 x 2.
std::string Picture(const Plot& plot, int columns, int rows, bool utf8);

}  // namespace beamline::cli
