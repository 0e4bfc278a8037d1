#include "engine/data/target.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "engine/core/error.h"
#include "engine/data/text.h"
#include "engine/data/values.h"

namespace beamline::engine::data {
namespace {

void CheckRow(const Column& column, int64_t row) {
  if (row < 0 || row >= column.rows()) {
    Fail(RowName(row), " is outside the table of ", column.rows(), " rows");
  }
}

double FiniteLabel(const Column& column, int64_t row, int64_t k) {
  CheckRow(column, row);
  const double label = column.Number(row, k);
  if (!std::isfinite(label)) {
    Fail(RowName(row), ": the label in column ", Quoted(column.name()), " is ",
         std::isnan(label) ? "missing" : "infinite", ": remove the row or correct it");
  }
  return label;
}

const Column& ClassColumn(const Table& table, const std::string& name) {
  const Column& column = table.Get(name);
  if (column.item_size() != 1) {
    Fail("label column ", Quoted(name), " holds arrays: class labels are single values");
  }
  return column;
}

// The text by which a label is looked up; a fraction that is a whole number counts as an integer.
std::string ClassText(const Column& column, int64_t row) {
  CheckRow(column, row);
  if (column.IsMissing(row)) FiniteLabel(column, row, 0);
  if (!IsFloat(column.type())) return column.Text(row);
  const double label = FiniteLabel(column, row, 0);
  if (label != std::floor(label) || std::abs(label) > 9e15) {
    Fail(RowName(row), ": the label in column ", Quoted(column.name()), " is ",
         ShortestDecimal(label),
         ": class labels are categories, bools or integers; for numbers use regression");
  }
  return std::to_string(static_cast<int64_t>(label));
}

// The classes of some rows in the order that TargetSpec.classes promises.
std::vector<std::string> ClassesOf(const Column& column, std::span<const int64_t> rows) {
  if (column.type() == ColumnType::kCategorical || column.type() == ColumnType::kBool) {
    std::set<std::string> texts;
    std::vector<bool> seen(column.categories().size());
    for (const int64_t row : rows) {
      CheckRow(column, row);
      const double code = column.Number(row);
      if (!seen.empty() && code >= 0 && code < static_cast<double>(seen.size())) {
        if (seen[static_cast<size_t>(code)]) continue;
        seen[static_cast<size_t>(code)] = true;
      }
      texts.insert(ClassText(column, row));
    }
    return {texts.begin(), texts.end()};
  }
  std::map<int64_t, std::string> numbers;
  for (const int64_t row : rows) {
    CheckRow(column, row);
    const double value = column.Number(row);
    const bool whole = value == std::floor(value) && std::abs(value) < 9e15;
    if (whole && numbers.contains(static_cast<int64_t>(value))) continue;
    std::string text = ClassText(column, row);
    numbers.emplace(std::stoll(text), std::move(text));
    if (numbers.size() > 100'000) {
      Fail("label column ", Quoted(column.name()),
           " has more than 100000 classes: use regression for numbers");
    }
  }
  std::vector<std::string> out;
  for (auto& [number, text] : numbers) out.push_back(std::move(text));
  return out;
}

void CheckClasses(const TargetSpec& spec, const std::vector<std::string>& seen) {
  for (const std::string& name : spec.classes) {
    if (std::count(spec.classes.begin(), spec.classes.end(), name) > 1) {
      Fail("class ", Quoted(name), " is named twice");
    }
    if (std::find(seen.begin(), seen.end(), name) == seen.end()) {
      Fail("no training row of column ", Quoted(spec.column), " has the class ", Quoted(name));
    }
  }
}

FittedTarget FitClasses(const Table& table, std::span<const int64_t> train,
                        const TargetSpec& spec) {
  const std::vector<std::string> seen = ClassesOf(ClassColumn(table, spec.column), train);
  if (seen.size() < 2) {
    Fail("label column ", Quoted(spec.column), " has only one class in the training rows, ",
         Quoted(seen.front()), ": a classifier needs two; check the column and the split");
  }
  CheckClasses(spec, seen);
  for (const std::string& name : seen) {
    if (!spec.classes.empty() &&
        std::find(spec.classes.begin(), spec.classes.end(), name) == spec.classes.end()) {
      Fail("label column ", Quoted(spec.column), " has the class ", Quoted(name),
           ", which classes does not name: add it, or remove its rows");
    }
  }
  FittedTarget out;
  out.column = spec.column;
  out.kind = spec.kind;
  out.classes = spec.classes.empty() ? seen : spec.classes;
  if (spec.kind == TargetKind::kBinary && out.classes.size() != 2) {
    Fail("label column ", Quoted(spec.column), " has ", out.classes.size(),
         " classes in the training rows (", Quoted(out.classes[0]), ", ", Quoted(out.classes[1]),
         ", ", Quoted(out.classes[2]), out.classes.size() > 3 ? ", ..." : "",
         "): a binary target needs two; use multiclass");
  }
  return out;
}

FittedTarget FitRegression(const Table& table, std::span<const int64_t> train,
                           const TargetSpec& spec) {
  const Column& column = table.Get(spec.column);
  if (!column.is_numeric()) {
    Fail("label column ", Quoted(spec.column), " is categorical: use binary or multiclass");
  }
  FittedTarget out;
  out.column = spec.column;
  out.kind = TargetKind::kRegression;
  out.outputs = column.item_size();
  double sum = 0;
  const auto values = static_cast<double>(train.size()) * static_cast<double>(out.outputs);
  const auto for_each = [&](const auto& use) {
    for (const int64_t row : train) {
      for (int64_t k = 0; k < out.outputs; ++k) use(FiniteLabel(column, row, k));
    }
  };
  for_each([&](double label) { sum += label; });
  if (!spec.standardize) return out;
  const double mean = sum / values;
  double squares = 0;
  for_each([&](double label) { squares += (label - mean) * (label - mean); });
  const double deviation = std::sqrt(squares / values);
  if (!(deviation > 0) || !std::isfinite(deviation)) {
    Fail("label column ", Quoted(spec.column), " is ", ShortestDecimal(mean),
         " in every training row: there is nothing to learn");
  }
  out.mean = mean;
  out.scale = deviation;
  return out;
}

}  // namespace

FittedTarget FitTarget(const Table& table, std::span<const int64_t> train, const TargetSpec& spec) {
  if (train.empty()) throw Error("there are no training rows to fit the target on");
  return spec.kind == TargetKind::kRegression ? FitRegression(table, train, spec)
                                              : FitClasses(table, train, spec);
}

std::vector<int32_t> EncodeClasses(const FittedTarget& target, const Table& table,
                                   std::span<const int64_t> rows) {
  if (target.kind == TargetKind::kRegression) {
    Fail("column ", Quoted(target.column), " is a regression target: it has no classes");
  }
  const Column& column = ClassColumn(table, target.column);
  std::unordered_map<std::string, int32_t> index;
  for (const std::string& name : target.classes) {
    index.emplace(name, static_cast<int32_t>(index.size()));
  }
  // Texts are looked up once per category or small integer, not once per row.
  std::unordered_map<int64_t, int32_t> known;
  std::vector<int32_t> out;
  out.reserve(rows.size());
  for (const int64_t row : rows) {
    CheckRow(column, row);
    const double number = column.Number(row);
    const bool small = std::abs(number) < 1e6 && number == std::floor(number);
    if (const auto seen = small ? known.find(static_cast<int64_t>(number)) : known.end();
        seen != known.end()) {
      out.push_back(seen->second);
      continue;
    }
    const std::string text = ClassText(column, row);
    const auto found = index.find(text);
    if (found == index.end()) {
      Fail(RowName(row), ": the label ", Quoted(text), " in column ", Quoted(target.column),
           " is no class of the training rows");
    }
    out.push_back(found->second);
    if (small) known.emplace(static_cast<int64_t>(number), found->second);
  }
  return out;
}

std::vector<float> EncodeTarget(const FittedTarget& target, const Table& table,
                                std::span<const int64_t> rows) {
  if (target.kind != TargetKind::kRegression) {
    const std::vector<int32_t> classes = EncodeClasses(target, table, rows);
    return {classes.begin(), classes.end()};
  }
  const Column& column = table.Get(target.column);
  if (!column.is_numeric() || column.item_size() != target.outputs) {
    Fail("label column ", Quoted(target.column), " is not of the kind the model was trained on");
  }
  std::vector<float> out;
  out.reserve(rows.size() * static_cast<size_t>(target.outputs));
  for (const int64_t row : rows) {
    for (int64_t k = 0; k < target.outputs; ++k) {
      const auto label =
          static_cast<float>((FiniteLabel(column, row, k) - target.mean) / target.scale);
      if (!std::isfinite(label)) {
        Fail(RowName(row), ": the label in column ", Quoted(target.column),
             " is too large for float32: standardize the target");
      }
      out.push_back(label);
    }
  }
  return out;
}

std::vector<float> ReadWeights(const Table& table, const std::string& name,
                               std::span<const int64_t> rows) {
  const Column& column = table.Get(name);
  if (!column.is_numeric() || column.item_size() != 1) {
    Fail("weight column ", Quoted(name), " does not hold numbers");
  }
  std::vector<float> out;
  out.reserve(rows.size());
  double sum = 0;
  for (const int64_t row : rows) {
    CheckRow(column, row);
    const double weight = column.Number(row);
    if (!std::isfinite(static_cast<float>(weight))) {
      Fail(RowName(row), ": the weight in column ", Quoted(name), " is ",
           std::isnan(weight) ? "missing" : "infinite", ": remove the row or correct it");
    }
    sum += weight;
    out.push_back(static_cast<float>(weight));
  }
  if (!rows.empty() && !(sum > 0)) {
    Fail("the weights in column ", Quoted(name), " sum to ", ShortestDecimal(sum),
         ": their sum must be positive");
  }
  return out;
}

}  // namespace beamline::engine::data
