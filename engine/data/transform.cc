#include "engine/data/transform.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "engine/core/error.h"
#include "engine/data/text.h"
#include "engine/data/transform_steps.h"

namespace beamline::engine::data {
namespace {

using Output = FittedColumn::Output;

int64_t FeaturesOf(const FittedColumn& column) {
  if (column.output == Output::kCode) return 0;
  return column.output == Output::kOneHot ? static_cast<int64_t>(column.categories.size())
                                          : column.item_size;
}

// Rows per turn of the loops below: their numbers stay in the first-level cache.
constexpr size_t kBlock = 256;

// Items of fewer bytes are not worth a look-up table.
constexpr int64_t kLookUpItem = 16;

}  // namespace

void FailLog1p(const std::string& place, double x) {
  Fail(place, ": log1p is not defined for ", ShortestDecimal(x), ": clip the column first");
}

double Log1p(double x) { return std::log1p(x); }

std::string CategoryText(const Column& column, int64_t row) {
  if (!IsFloat(column.type()) || column.IsMissing(row)) return column.Text(row);
  const double value = column.Number(row);
  if (value != std::floor(value) || std::abs(value) > 9e15) {
    Fail(RowName(row), ", column ", Quoted(column.name()), ": ", ShortestDecimal(value),
         " is not a category: the model was trained on whole numbers");
  }
  return std::to_string(static_cast<int64_t>(value));
}

int64_t FittedTransforms::features() const {
  int64_t sum = 0;
  for (const FittedColumn& column : columns) sum += FeaturesOf(column);
  return sum;
}

std::vector<std::string> FittedTransforms::FeatureNames() const {
  std::vector<std::string> names;
  for (const FittedColumn& column : columns) {
    if (column.output == Output::kOneHot) {
      for (const std::string& category : column.categories) {
        names.push_back(Cat(column.column, "=", category));
      }
      continue;
    }
    const std::string_view suffix = column.output == Output::kIndicator ? ":missing" : "";
    for (int64_t k = 0; k < FeaturesOf(column); ++k) {
      const std::string index = column.item_size > 1 ? Cat("[", k, "]") : "";
      names.push_back(Cat(column.column, index, suffix));
    }
  }
  return names;
}

int64_t FittedTransforms::codes() const { return static_cast<int64_t>(CodeNames().size()); }

std::vector<std::string> FittedTransforms::CodeNames() const {
  std::vector<std::string> names;
  for (const FittedColumn& column : columns) {
    if (column.output == Output::kCode) names.push_back(column.column);
  }
  return names;
}

std::vector<int64_t> FittedTransforms::Vocabularies() const {
  std::vector<int64_t> sizes;
  for (const FittedColumn& column : columns) {
    if (column.output != Output::kCode) continue;
    sizes.push_back(static_cast<int64_t>(column.categories.size()) + 1);
  }
  return sizes;
}

struct FeatureReader::Bound {
  FittedColumn fitted;
  Column column;
  int64_t first = 0;  // its first feature, or its code
  // kOneHot, kCode: what a missing value is taken for, and the index of each value: by code for
  // categorical columns, by number for others. -1: not seen in training.
  int32_t fill = -1;
  std::vector<int32_t> by_code;
  std::unordered_map<int64_t, int32_t> by_number;
  // The feature of each byte, if they are looked up; else empty.
  std::vector<float> by_byte;

  Bound(const FittedColumn& fitted_column, const Table& table)
      : fitted(fitted_column), column(table.Get(fitted_column.column)) {
    const bool encoded = fitted.output == Output::kOneHot || fitted.output == Output::kCode;
    if (column.item_size() != fitted.item_size) {
      Fail("column ", Quoted(fitted.column), " has items of ", column.item_size(),
           " values, but the transforms were fitted on items of ", fitted.item_size);
    }
    if (fitted.output == Output::kNumbers && !column.is_numeric()) {
      Fail("column ", Quoted(fitted.column),
           " holds text, but the transforms were fitted on numbers: correct its values");
    }
    if (fitted.output == Output::kNumbers) TabulateBytes();
    if (!encoded) return;
    std::unordered_map<std::string, int32_t> index;
    for (const std::string& category : fitted.categories) {
      index.emplace(category, static_cast<int32_t>(index.size()));
    }
    const auto find = [&](const std::string& text) {
      const auto found = index.find(text);
      return found == index.end() ? -1 : found->second;
    };
    if (!fitted.fill.empty()) fill = find(fitted.fill);
    for (const std::string& category : column.categories()) by_code.push_back(find(category));
    if (!column.is_numeric()) return;
    for (const auto& [text, number] : index) {
      if (column.type() == ColumnType::kBool && (text == "true" || text == "false")) {
        by_number.emplace(text == "true" ? 1 : 0, number);
      } else if (const int64_t value = std::atoll(text.c_str()); std::to_string(value) == text) {
        by_number.emplace(value, number);
      }
    }
  }

  void TabulateBytes() {
    const auto varies = [](const FittedStep& step) {
      // The logarithm is not defined for every number, and is an error only for those that occur.
      return step.kind == FittedStep::Kind::kLog1p || step.a.size() > 1 || step.b.size() > 1;
    };
    if (column.type() != ColumnType::kUint8 || column.validity() != nullptr ||
        fitted.item_size < kLookUpItem ||
        std::any_of(fitted.steps.begin(), fitted.steps.end(), varies)) {
      return;
    }
    double x[256];
    for (size_t i = 0; i < std::size(x); ++i) x[i] = static_cast<double>(i);
    RunSteps(fitted.steps, 0, 1, x, [](size_t) { return std::string(); });
    by_byte.assign(std::begin(x), std::end(x));
    if (!std::all_of(by_byte.begin(), by_byte.end(), [](float y) { return std::isfinite(y); })) {
      by_byte.clear();
    }
  }

  void LookUp(std::span<const int64_t> rows, float* out, int64_t stride) const {
    const uint8_t* const bytes = column.values<uint8_t>().data();
    const float* const table = by_byte.data();
    const int64_t item = fitted.item_size;
    for (const int64_t row : rows) {
      const uint8_t* const from = bytes + row * item;
      for (int64_t k = 0; k < item; ++k) out[k] = table[from[k]];
      out += stride;
    }
  }

  [[noreturn]] void FailAt(int64_t row, const std::string& what) const {
    Fail(RowName(row), ", column ", Quoted(fitted.column), ": ", what);
  }

  // Index of the row's category; -1 for one that is missing or unknown.
  int32_t Index(int64_t row) const {
    const double number = column.Number(row);
    if (std::isnan(number)) return fill;
    int32_t index = -1;
    if (column.is_numeric()) {
      if (IsFloat(column.type())) CategoryText(column, row);  // refuses fractions
      const auto found = by_number.find(IsFloat(column.type()) ? static_cast<int64_t>(number)
                                                               : column.Integer(row));
      if (found != by_number.end()) index = found->second;
    } else if (number < static_cast<double>(by_code.size())) {
      index = by_code[static_cast<size_t>(number)];
    }
    if (index < 0 && fitted.unknown_is_error) {
      FailAt(row, Cat(Quoted(column.Text(row)), " was not seen in training"));
    }
    return index;
  }

  float Checked(double x, int64_t row, bool keep_missing) const {
    const auto value = static_cast<float>(x);
    if (std::isfinite(value) || (keep_missing && std::isnan(value))) return value;
    FailAt(row, std::isnan(value)
                    ? "the value is missing: add an impute transform, or remove the row"
                    : Cat(ShortestDecimal(x),
                          " does not fit into float32: scale or clip the "
                          "column"));
  }

  // Numbers and indicators of `rows` into `out`, whose rows are `stride` apart.
  void ReadNumbers(std::span<const int64_t> rows, float* out, int64_t stride,
                   bool keep_missing) const {
    if (!by_byte.empty()) return LookUp(rows, out, stride);
    double x[kBlock];
    const int64_t item = fitted.item_size;
    const auto total = static_cast<int64_t>(rows.size()) * item;
    for (int64_t begin = 0; begin < total; begin += kBlock) {
      const auto size = static_cast<size_t>(std::min<int64_t>(kBlock, total - begin));
      int64_t r = begin / item, k = begin % item;
      for (size_t i = 0; i < size; ++i) {
        x[i] = column.Number(rows[static_cast<size_t>(r)], k);
        if (++k == item) {
          k = 0;
          ++r;
        }
      }
      if (fitted.output == Output::kIndicator) {
        for (size_t i = 0; i < size; ++i) x[i] = std::isnan(x[i]) ? 1 : 0;
      } else {
        RunSteps(fitted.steps, begin % item, item, {x, size}, [&](size_t i) {
          const auto at = static_cast<size_t>((begin + static_cast<int64_t>(i)) / item);
          return Cat(RowName(rows[at]), ", column ", Quoted(fitted.column));
        });
      }
      r = begin / item, k = begin % item;
      for (size_t i = 0; i < size; ++i) {
        out[r * stride + k] = Checked(x[i], rows[static_cast<size_t>(r)], keep_missing);
        if (++k == item) {
          k = 0;
          ++r;
        }
      }
    }
  }
};

FeatureReader::FeatureReader(const FittedTransforms& fitted, const Table& table,
                             ApplyOptions options)
    : table_rows_(table.rows()), options_(options) {
  columns_.reserve(fitted.columns.size());
  for (const FittedColumn& column : fitted.columns) {
    columns_.emplace_back(column, table);
    first_features_.push_back(features_);
    const bool code = column.output == Output::kCode;
    columns_.back().first = code ? codes_ : features_;
    if (code) ++codes_;
    features_ += FeaturesOf(column);
  }
  first_features_.push_back(features_);
}
FeatureReader::~FeatureReader() = default;
FeatureReader::FeatureReader(FeatureReader&&) noexcept = default;

int64_t FeatureReader::features() const { return features_; }
int64_t FeatureReader::codes() const { return codes_; }

void FeatureReader::CheckRows(std::span<const int64_t> rows) const {
  for (const int64_t row : rows) {
    if (row < 0 || row >= table_rows_) {
      Fail(RowName(row), " is outside the table of ", table_rows_, " rows");
    }
  }
}

bool FeatureReader::ReadsBytes(size_t i) const { return !columns_[i].by_byte.empty(); }

void FeatureReader::ReadByteColumns(std::span<const int64_t> rows,
                                    std::span<float> features) const {
  if (features.size() != rows.size() * static_cast<size_t>(features_)) {
    Fail("the buffer for ", rows.size(), " rows of ", features_, " features holds ",
         features.size());
  }
  CheckRows(rows);
  for (const Bound& bound : columns_) {
    if (!bound.by_byte.empty()) bound.LookUp(rows, features.data() + bound.first, features_);
  }
}

void FeatureReader::Read(std::span<const int64_t> rows, std::span<float> features,
                         std::span<int32_t> codes) const {
  if (features.size() != rows.size() * static_cast<size_t>(features_) ||
      codes.size() != rows.size() * static_cast<size_t>(codes_)) {
    Fail("the buffers for ", rows.size(), " rows of ", features_, " features and ", codes_,
         " codes hold ", features.size(), " and ", codes.size());
  }
  CheckRows(rows);
  for (size_t begin = 0; begin < rows.size(); begin += kBlock) {
    const std::span<const int64_t> block =
        rows.subspan(begin, std::min(kBlock, rows.size() - begin));
    float* const out = features.data() + begin * static_cast<size_t>(features_);
    for (const Bound& bound : columns_) {
      if (bound.fitted.output == Output::kOneHot) {
        for (size_t r = 0; r < block.size(); ++r) {
          float* const row = out + static_cast<int64_t>(r) * features_ + bound.first;
          std::fill(row, row + bound.fitted.categories.size(), 0.0f);
          if (const int32_t index = bound.Index(block[r]); index >= 0) row[index] = 1;
        }
      } else if (bound.fitted.output == Output::kCode) {
        for (size_t r = 0; r < block.size(); ++r) {
          codes[(begin + r) * static_cast<size_t>(codes_) + static_cast<size_t>(bound.first)] =
              bound.Index(block[r]) + 1;
        }
      } else {
        bound.ReadNumbers(block, out + bound.first, features_, options_.keep_missing);
      }
    }
  }
}

FeatureMatrix ApplyTransforms(const FittedTransforms& fitted, const Table& table,
                              std::span<const int64_t> rows, ApplyOptions options) {
  const FeatureReader reader(fitted, table, options);
  FeatureMatrix out;
  out.rows = static_cast<int64_t>(rows.size());
  out.features = reader.features();
  out.codes = reader.codes();
  out.values.resize(rows.size() * static_cast<size_t>(out.features));
  out.code_values.resize(rows.size() * static_cast<size_t>(out.codes));
  reader.Read(rows, out.values, out.code_values);
  return out;
}

}  // namespace beamline::engine::data
