// How the values of a column are distributed, by classes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clients/cli/terminal.h"

namespace beamline::cli {

// Counts of bins, or of categories.
struct Distribution {
  struct Series {
    std::string label;
    std::vector<double> counts = {};  // one a bin
    int color = 0;
    bool dashed = false;
  };
  std::string column;
  // Of bins: one more than there are; empty: these are categories.
  std::vector<double> edges = {};
  std::vector<std::string> categories = {};
  std::vector<Series> series = {};
};

// "low,high" or "category", then a column for each series.
std::string DistributionCsv(const Distribution& distribution);

// A complete document: steps over the bins, or over the categories.
std::string DistributionSvg(const Distribution& distribution, std::string_view title);

// A line for each series with blocks as high as its counts are, the highest of each being the same;
// wider bins are shown where there is no room for all. Below it the ends of the column's values.
// Of categories: a table.
std::string DistributionText(const Distribution& distribution, const TerminalTraits& traits);

}  // namespace beamline::cli
