// Plots as SVG 1.1. All text is escaped here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clients/cli/plot.h"

namespace beamline::cli {

// In pixels.
struct Box {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
};

// A complete document around `body`, on white, with a title at its top.
std::string SvgDocument(int width, int height, std::string_view title, std::string_view body);

// The plot in the box. Around it, room is taken for the title (24 above), the labels and names of
// the axes (45 below, at the left 55, or more for labels of more than four characters), and a
// legend (140 at the right, if series have labels).
std::string SvgPlot(const Plot& plot, const Box& box);

// A bar for each name, as long as its share in [0, 1] of the width; the names stand in the bars.
std::string SvgBars(std::string_view title,
                    const std::vector<std::pair<std::string, double>>& shares, const Box& box);

// A bar from 0 for each name, the names at the left of the box (up to 190), and a line from one
// error below its end to one above it.
struct LabelledBar {
  std::string name;
  double value = 0;
  double error = 0;
};
std::string SvgErrorBars(const std::vector<LabelledBar>& bars, const Box& box);

// `attributes` is written as it is.
std::string SvgText(double x, double y, std::string_view attributes, std::string_view text);

}  // namespace beamline::cli
