// Labels and event weights as a loss wants them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/data/table.h"

namespace beamline::engine::data {

enum class TargetKind : uint8_t { kRegression = 1, kBinary = 2, kMulticlass = 3 };

struct TargetSpec {
  std::string column;
  TargetKind kind = TargetKind::kBinary;
  // Classification: names of the classes as Column::Text writes the values, in the order of their
  // index; binary: {negative, positive}. Empty: those in the training rows, integers ascending,
  // false before true, categories in byte order.
  std::vector<std::string> classes;
  // Regression: scale to mean 0 and standard deviation 1 over the training rows.
  bool standardize = false;
};

// Plain data, to be stored with the model.
struct FittedTarget {
  std::string column;
  TargetKind kind = TargetKind::kBinary;
  std::vector<std::string> classes;
  double mean = 0;  // label = (y - mean) / scale
  double scale = 1;
  int64_t outputs = 1;  // values of one label: the item size of a regression column

  // From the model's scale back to the column's.
  double Inverse(double label) const { return label * scale + mean; }
};

// Throws Error if: the column does not exist; a label is missing or not finite (row named); a
// class column is a fraction; there is only one class, or for kBinary not exactly two; a class
// named does not occur, or one that occurs is not named; the column is constant (standardize).
FittedTarget FitTarget(const Table& table, std::span<const int64_t> train, const TargetSpec& spec);

// [rows, outputs] numbers: the class index for classification (0 or 1 for binary), the scaled value
// for regression. Throws Error for a missing or unknown label, naming the row.
std::vector<float> EncodeTarget(const FittedTarget& target, const Table& table,
                                std::span<const int64_t> rows);
// The class index of each row; not for regression.
std::vector<int32_t> EncodeClasses(const FittedTarget& target, const Table& table,
                                   std::span<const int64_t> rows);

// Event weights, finite, negative ones too. Throws Error for one that is missing or infinite (row
// named), a column that is not a number, or if their sum over `rows` is not positive.
std::vector<float> ReadWeights(const Table& table, const std::string& column,
                               std::span<const int64_t> rows);

}  // namespace beamline::engine::data
