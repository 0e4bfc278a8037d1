// LIBSVM's format of sparse rows (C.-C. Chang, C.-J. Lin, "LIBSVM: a library for support vector
// machines", 2011): "label index:value index:value ...", a row a line.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/data/table.h"

namespace beamline::engine::data {

inline constexpr int64_t kMostSparseFeatures = 10'000;
// Of the table, where every feature has a number in every row: a row of a few bytes may name the
// last feature.
inline constexpr int64_t kMostSparseBytes = int64_t{2} << 30;

// Columns "label" (int64 if all labels are whole numbers, else float64: the format has numbers
// there, so that "1", "+1" and "01" are one label), "query" (int64, if rows
// have "qid:") and a float64 column for each feature, "f1", "f2", ..., or from "f0" on if some row
// has index 0; a feature that a row does not name is 0 there. What follows a # says nothing; empty
// lines are skipped. Throws Error, naming the line, for a label or value that is no number, indices
// that do not ascend, some rows with "qid:" and some without, several labels; an index beyond
// kMostSparseFeatures; no rows or no features; a table of more than `max_bytes` or
// kMostSparseBytes.
Table ReadSparseRows(std::string_view text, int64_t max_bytes);

}  // namespace beamline::engine::data
