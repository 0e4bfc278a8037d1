// Cross-validation: which rows each fold trains on, and which it is measured on.
#pragma once

#include <cstdint>
#include <string>

#include "beamline/v1/search.pb.h"
#include "engine/data/split.h"
#include "engine/data/table.h"

namespace beamline::pipeline {

// A fold of a table's rows, from 1.
struct Fold {
  // Null: none, the split stays as it is.
  const v1::CrossValidation* cross_validation = nullptr;
  int number = 0;
};

// Divides the training and validation rows of `split` anew; its test rows stay. Depends only on
// the arguments: the folds of one repeat are disjoint and together all rows (of a time series, all
// but the first block).
// Throws engine::Error, saying what to change, if there are fewer rows (groups, rows of a class)
// than folds, or a row has no group.
engine::data::Split MakeFold(const engine::data::Table& table, const engine::data::Split& split,
                             const Fold& fold, const std::string& target, uint64_t seed);

}  // namespace beamline::pipeline
