// Which rows train, which validate, which test.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/data/table.h"

namespace beamline::engine::data {

struct SplitSpec {
  enum class Kind {
    kRandom,      // `test` of all rows, at random
    kStratified,  // `test` of the rows of each value of `column`, at random
    kColumn,      // by the values of `column`: see test_values, validation_values
    kModulo,      // rows whose 0-based index modulo `modulus` is in test_residues
    kOrdered,     // the first rows train, those behind them validate, the ones behind those test
    kNone,        // no test part: the test rows are in another table
  };
  Kind kind = Kind::kRandom;
  // Fractions of all rows, in [0, 1). Where test rows are chosen by column or modulo, `test` is not
  // used and `validation` is the fraction of the remaining rows. A part whose fraction is 0 is
  // empty. Validation rows are drawn at random (kStratified: per value) unless validation_values or
  // validation_residues choose them.
  double test = 0.2;
  double validation = 0.0;
  // For kOrdered, where all three are fractions of all rows or, from 1 on, numbers of rows. 0: all
  // rows that are not in the other two. Rows behind the three parts are in none.
  double train = 0.0;
  uint64_t seed = 0;
  // For kStratified (categorical, bool or integer) and kColumn.
  std::string column;
  // For kColumn: the text of a value, as Column::Text writes it.
  std::vector<std::string> train_values;  // empty: all others; else rows of others are in no part
  std::vector<std::string> test_values;
  std::vector<std::string> validation_values;
  // For kModulo.
  int64_t modulus = 5;
  std::vector<int64_t> test_residues = {0};
  std::vector<int64_t> validation_residues;
};

// Row indices from 0, ascending within each part; no row is in two.
struct Split {
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
  std::vector<int64_t> test;
};

// Depends only on the spec, the number of rows and the values of `column`.
// Throws Error, saying what to change, if: a fraction is outside [0, 1) or they leave nothing to
// train on; a part that was asked for would be empty; the column does not exist, has missing values
// (row named) or is a float (kStratified); a value named in the spec does not occur; a stratum has
// fewer rows than parts.
Split MakeSplit(const Table& table, const SplitSpec& spec);

// 0, 1, ..., rows - 1.
std::vector<int64_t> AllRows(const Table& table);

}  // namespace beamline::engine::data
