// How columns of numbers go together.
#pragma once

#include <string>
#include <vector>

#include "engine/data/columnar.h"
#include "engine/data/workspace.h"

namespace beamline::engine::data {

inline constexpr size_t kMostCorrelated = 1000;
// Pairs of columns times rows, some minutes of one thread. A pair for Spearman's of which a value
// is missing somewhere counts 20-fold, for its ranks are counted anew.
inline constexpr double kMostCorrelationWork = 2e11;

enum class Correlation {
  kPearson,
  kSpearman,  // Pearson's of the ranks among the rows that are compared; ties share their mean rank
};

// A row for each of `columns`, one after the other; of the rows where both have a finite value.
// NaN where fewer than two rows have, or one of the columns is constant among them. The same bits
// for any number of threads. Memory beside the workspace's does not grow with the rows. Throws
// Error for columns that do not exist or are no plain numbers, none or too many of them, more work
// than kMostCorrelationWork, and what the workspace throws.
std::vector<double> Correlate(const Dataset& dataset, const std::vector<std::string>& columns,
                              Correlation method, Workspace& workspace);

}  // namespace beamline::engine::data
