// From columns to the numbers a model eats: fitted on the training rows only, then applied to any
// rows of any table that has the columns, also at prediction time.
//
// Fit reads a list of TransformSpec in order and gives FittedTransforms: plain data, complete in
// itself, for the caller to store with the model.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/data/table.h"

namespace beamline::engine::data {

struct TransformSpec {
  enum class Kind {
    kSelect,       // keep only `columns`, in that order
    kDrop,         // remove `columns`
    kImpute,       // fill in missing values
    kStandardize,  // (x - mean) / standard deviation (population; 1 where it is 0)
    kMinMax,       // to [low, high], from the training rows' minimum and maximum (no clipping)
    kLog1p,        // log(1 + x); a value <= -1 is an error
    kClip,         // to [low, high]
    kOneHot,       // one feature per category, bool or integer value seen in training
    kOrdinal,      // an int32 code column for an embedding: 1.. for values seen, 0 for others
    kScale,        // factor x + offset
  };
  enum class Impute { kMeanOrMostFrequent, kMean, kMedian, kMostFrequent, kConstant };
  enum class Unknown { kZeros, kError };

  Kind kind = Kind::kStandardize;
  // Empty: every column the transform can apply to. One-hot, ordinal: the categorical ones; impute
  // kMean and kMedian, scaling, log1p, clip: the numeric ones; other imputing: all, but
  // kConstant: the numeric ones if the constant is a number, else the categorical ones; imputing
  // leaves out arrays of integers, which have no missing values.
  std::vector<std::string> columns;

  // kMeanOrMostFrequent: the mean for numbers, the most frequent category for categories.
  Impute impute = Impute::kMeanOrMostFrequent;
  std::string constant;    // for kConstant: a number, or a category for categorical columns
  bool indicator = false;  // kImpute: adds a feature "NAME:missing", 1 where the value was missing
  double low = 0, high = 1;       // for kMinMax and kClip
  double factor = 1, offset = 0;  // for kScale
  // kStandardize, kMinMax of columns of arrays: one statistic for all their values instead of one
  // for each place of the item.
  bool whole = false;
  Unknown unknown = Unknown::kZeros;  // for kOneHot, kOrdinal: a value not seen in training
  int64_t max_categories = 100'000;   // for kOneHot, kOrdinal
};

// One step on a number. Vectors have one element, or one for each value of the column's item.
struct FittedStep {
  enum class Kind : uint8_t {
    kFill = 1,   // NaN becomes a
    kScale = 2,  // (x - a) * b
    kLog1p = 3,  // log(1 + x)
    kClip = 4,   // min(max(x, a), b)
  };
  Kind kind = Kind::kScale;
  std::vector<double> a;
  std::vector<double> b;
};

// What one column contributes to the features, in order.
struct FittedColumn {
  enum class Output : uint8_t {
    kNumbers = 1,    // item_size features, after `steps`
    kIndicator = 2,  // item_size features, 1 where the value is missing
    kOneHot = 3,     // categories.size() features
    kCode = 4,       // no feature but one code column, in [0, categories.size()]
  };
  std::string column;
  Output output = Output::kNumbers;
  int64_t item_size = 1;
  std::vector<FittedStep> steps;        // kNumbers
  std::vector<std::string> categories;  // kOneHot, kCode: values as Column::Text writes them
  std::string fill;                     // kOneHot, kCode: taken for a missing value; "": none is
  bool unknown_is_error = false;        // kOneHot, kCode
};

struct FittedTransforms {
  std::vector<FittedColumn> columns;

  int64_t features() const;
  // "pt"; "x[3]" for items; "color=red" for one-hot; "pt:missing" for indicators.
  std::vector<std::string> FeatureNames() const;
  int64_t codes() const;
  std::vector<std::string> CodeNames() const;
  // For each code column, one more than its greatest code: the rows an embedding needs.
  std::vector<int64_t> Vocabularies() const;
};

// Fits on rows `train` of `table`. `reserved` columns (label, weight, split) are no features.
// Throws Error if: no rows or no column remain; a column named does not exist, is reserved, or
// cannot be transformed so; a categorical column is left without one_hot or ordinal; a statistic
// has no value to be computed from (column named); too many categories.
FittedTransforms FitTransforms(const Table& table, std::span<const int64_t> train,
                               const std::vector<TransformSpec>& specs,
                               const std::vector<std::string>& reserved = {});

struct ApplyOptions {
  // Leave NaN in the features where a value is missing and no transform fills it in; otherwise
  // that is an error that names row and column.
  bool keep_missing = false;
};

// Fitted transforms bound to the columns of one table: the look-ups are done once, then any rows
// can be asked for, batch by batch. Immutable; safe from any number of threads.
class FeatureReader {
 public:
  // Throws Error if the table lacks a column, or has it with another kind or item size.
  FeatureReader(const FittedTransforms& fitted, const Table& table, ApplyOptions options = {});
  ~FeatureReader();
  FeatureReader(FeatureReader&&) noexcept;

  int64_t features() const;
  int64_t codes() const;
  // Writes [rows.size(), features()] numbers and [rows.size(), codes()] codes, row-major.
  // Throws Error for a row outside the table, a missing value or a category that is not accepted, a
  // number that is not finite as float32, naming row and column; the buffers are then partly
  // written.
  void Read(std::span<const int64_t> rows, std::span<float> features,
            std::span<int32_t> codes = {}) const;

  // Whether column `i` of the transforms holds arrays of uint8 whose values all go through the same
  // steps (images): its features are looked up byte by byte, as fast as numbers in memory are
  // copied, so that there is no use in keeping them as numbers of four bytes.
  bool ReadsBytes(size_t i) const;
  // The first feature of column `i`; features() for i = the number of columns.
  int64_t FirstFeature(size_t i) const { return first_features_[i]; }
  // As Read, but writes the features of columns that ReadsBytes is true for, and no others.
  void ReadByteColumns(std::span<const int64_t> rows, std::span<float> features) const;

 private:
  struct Bound;
  void CheckRows(std::span<const int64_t> rows) const;

  std::vector<Bound> columns_;
  std::vector<int64_t> first_features_;
  int64_t features_ = 0;
  int64_t codes_ = 0;
  int64_t table_rows_ = 0;
  ApplyOptions options_;
};

// Features of some rows, all at once.
struct FeatureMatrix {
  int64_t rows = 0;
  int64_t features = 0;
  int64_t codes = 0;
  std::vector<float> values;         // [rows, features]
  std::vector<int32_t> code_values;  // [rows, codes]
};
FeatureMatrix ApplyTransforms(const FittedTransforms& fitted, const Table& table,
                              std::span<const int64_t> rows, ApplyOptions options = {});

}  // namespace beamline::engine::data
