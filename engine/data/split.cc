#include "engine/data/split.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/data/text.h"

namespace beamline::engine::data {
namespace {

enum class Part : uint8_t { kTrain, kValidation, kTest, kNone };

// Streams of the seed: the choice of test rows does not change when validation rows are added.
constexpr uint64_t kTestStream = 0x73706C69742D7465;
constexpr uint64_t kValidationStream = 0x73706C69742D7661;

void CheckFraction(const char* name, double fraction) {
  if (!(fraction >= 0 && fraction < 1)) {
    Fail(name, " fraction of the split is ", fraction, ": use a number from 0 to below 1");
  }
}

// Marks `count` of `rows`, chosen at random, as `part`, and removes them.
void Draw(std::vector<int64_t>& rows, int64_t count, Part part, const Philox& random,
          std::vector<Part>& parts) {
  const std::vector<int64_t> order = random.Permutation(static_cast<int64_t>(rows.size()));
  for (int64_t i = 0; i < count; ++i) {
    parts[static_cast<size_t>(rows[static_cast<size_t>(order[static_cast<size_t>(i)])])] = part;
  }
  std::erase_if(rows, [&](int64_t row) { return parts[static_cast<size_t>(row)] == part; });
}

int64_t Share(double fraction, size_t rows) {
  return std::llround(fraction * static_cast<double>(rows));
}

// The rows of each value of the column, by the value's text.
std::map<std::string, std::vector<int64_t>> Strata(const Table& table, const std::string& name,
                                                   bool allow_floats) {
  if (name.empty()) throw Error("this kind of split needs a column: name one");
  const Column& column = table.Get(name);
  if (column.item_size() != 1 || (IsFloat(column.type()) && !allow_floats)) {
    Fail("column ", Quoted(name), " holds ", TypeName(column.type()),
         column.item_size() != 1 ? " arrays" : "",
         ": split by a column of categories, bools or integers");
  }
  std::map<std::string, std::vector<int64_t>> strata;
  for (int64_t row = 0; row < column.rows(); ++row) {
    if (column.IsMissing(row)) {
      Fail(RowName(row), ": column ", Quoted(name), ", by which the data is split, has no value");
    }
    strata[column.Text(row)].push_back(row);
  }
  return strata;
}

void SplitRandomly(const Table& table, const SplitSpec& spec, std::vector<Part>& parts) {
  std::vector<int64_t> rows = AllRows(table);
  const int64_t test = Share(spec.test, rows.size());
  const int64_t validation = Share(spec.validation, rows.size());
  Draw(rows, test, Part::kTest, Philox(spec.seed, kTestStream), parts);
  Draw(rows, validation, Part::kValidation, Philox(spec.seed, kValidationStream), parts);
}

void SplitStratified(const Table& table, const SplitSpec& spec, std::vector<Part>& parts) {
  const int64_t wanted = 1 + (spec.test > 0 ? 1 : 0) + (spec.validation > 0 ? 1 : 0);
  uint64_t number = 0;
  auto strata = Strata(table, spec.column, /*allow_floats=*/false);
  if (strata.size() < 2) {
    Fail("column ", Quoted(spec.column), " has only one value, ", Quoted(strata.begin()->first),
         ": stratify by a column with two or more classes, or split at random");
  }
  for (auto& [value, rows] : strata) {
    const auto size = static_cast<int64_t>(rows.size());
    if (size < wanted) {
      Fail("class ", Quoted(value), " of column ", Quoted(spec.column), " has only ", size,
           size == 1 ? " row" : " rows", ", too few for ", wanted,
           " parts: remove the class, or split at random");
    }
    // Each part that is asked for gets at least one row of each class.
    const int64_t test = spec.test > 0 ? std::max<int64_t>(1, Share(spec.test, rows.size())) : 0;
    const int64_t validation =
        spec.validation > 0 ? std::max<int64_t>(1, Share(spec.validation, rows.size())) : 0;
    const int64_t test_rows = std::min(test, size - 1 - (validation > 0 ? 1 : 0));
    Draw(rows, test_rows, Part::kTest, Philox(spec.seed, kTestStream + number), parts);
    Draw(rows, std::min(validation, size - test_rows - 1), Part::kValidation,
         Philox(spec.seed, kValidationStream + number), parts);
    ++number;
  }
}

void MarkValues(const std::map<std::string, std::vector<int64_t>>& strata, const SplitSpec& spec,
                const std::vector<std::string>& values, Part part, std::vector<Part>& parts) {
  const Part free = spec.train_values.empty() ? Part::kTrain : Part::kNone;
  for (const std::string& value : values) {
    const auto found = strata.find(value);
    if (found == strata.end()) {
      std::string all;
      for (const auto& [other, rows] : strata) {
        if (all.size() < 200) all += Cat(all.empty() ? "" : ", ", Quoted(other));
      }
      Fail("no row of column ", Quoted(spec.column), " has the value ", Quoted(value), ": it has ",
           all);
    }
    for (const int64_t row : found->second) {
      if (parts[static_cast<size_t>(row)] != free) {
        Fail("value ", Quoted(value), " is in two parts of the split: leave it in one");
      }
      parts[static_cast<size_t>(row)] = part;
    }
  }
}

std::set<int64_t> Residues(const SplitSpec& spec, const std::vector<int64_t>& residues) {
  for (const int64_t residue : residues) {
    if (residue < 0 || residue >= spec.modulus) {
      Fail("residue ", residue, " is not below the modulus ", spec.modulus, " of the split");
    }
  }
  return {residues.begin(), residues.end()};
}

void SplitModulo(const SplitSpec& spec, std::vector<Part>& parts) {
  if (spec.modulus < 2) Fail("the modulus of the split is ", spec.modulus, ": use 2 or more");
  const std::set<int64_t> test = Residues(spec, spec.test_residues);
  const std::set<int64_t> validation = Residues(spec, spec.validation_residues);
  for (const int64_t residue : validation) {
    if (test.contains(residue)) Fail("residue ", residue, " is in two parts of the split");
  }
  for (size_t row = 0; row < parts.size(); ++row) {
    const int64_t residue = static_cast<int64_t>(row) % spec.modulus;
    if (test.contains(residue)) parts[row] = Part::kTest;
    if (validation.contains(residue)) parts[row] = Part::kValidation;
  }
}

// A number of rows as kOrdered gives it.
int64_t Amount(const char* name, double amount, size_t rows) {
  const bool whole = amount < 1 || amount == std::floor(amount);
  if (!(amount >= 0) || !whole || amount > static_cast<double>(rows)) {
    Fail("the ", name, " part of the split is ", amount, ": use a fraction below 1 or a number of ",
         "rows, of which there are ", rows);
  }
  return amount < 1 ? Share(amount, rows) : static_cast<int64_t>(amount);
}

void SplitOrdered(const SplitSpec& spec, std::vector<Part>& parts) {
  const auto rows = static_cast<int64_t>(parts.size());
  const int64_t validation = Amount("validation", spec.validation, parts.size());
  const int64_t test = Amount("test", spec.test, parts.size());
  const int64_t train =
      spec.train > 0 ? Amount("training", spec.train, parts.size()) : rows - validation - test;
  if (train < 1 || train + validation + test > rows) {
    Fail("the validation and test parts of the split have ", validation, " and ", test, " rows",
         spec.train > 0 ? Cat(", the training part ", train)
                        : std::string(" and leave some to train on"),
         ", but the table has ", rows, " rows: make them smaller");
  }
  const auto mark = [&](int64_t begin, int64_t size, Part part) {
    std::fill_n(parts.begin() + begin, size, part);
  };
  std::fill(parts.begin(), parts.end(), Part::kNone);
  mark(0, train, Part::kTrain);
  mark(train, validation, Part::kValidation);
  mark(train + validation, test, Part::kTest);
}

// Validation rows at random, from the rows that are left for training.
void DrawValidation(const SplitSpec& spec, std::vector<Part>& parts) {
  std::vector<int64_t> rows;
  for (size_t row = 0; row < parts.size(); ++row) {
    if (parts[row] == Part::kTrain) rows.push_back(static_cast<int64_t>(row));
  }
  Draw(rows, Share(spec.validation, rows.size()), Part::kValidation,
       Philox(spec.seed, kValidationStream), parts);
}

}  // namespace

std::vector<int64_t> AllRows(const Table& table) {
  std::vector<int64_t> rows(static_cast<size_t>(table.rows()));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

Split MakeSplit(const Table& table, const SplitSpec& spec) {
  using Kind = SplitSpec::Kind;
  if (table.rows() == 0) throw Error("the table has no rows to split");
  const bool drawn = spec.kind == Kind::kRandom || spec.kind == Kind::kStratified;
  const bool chosen = (spec.kind == Kind::kColumn && !spec.validation_values.empty()) ||
                      (spec.kind == Kind::kModulo && !spec.validation_residues.empty());
  const bool tested = (spec.kind == Kind::kColumn && !spec.test_values.empty()) ||
                      (spec.kind == Kind::kModulo && !spec.test_residues.empty());
  const bool ordered = spec.kind == Kind::kOrdered;
  if (!drawn && !ordered && spec.kind != Kind::kNone && !tested && !chosen) {
    throw Error("the split names no test and no validation rows: give test_values or residues");
  }
  if (ordered) {
    if (spec.test == 0 && spec.validation == 0) {
      throw Error("the split has no test and no validation rows: give one of them");
    }
  } else {
    CheckFraction("the validation", spec.validation);
  }
  if (drawn) CheckFraction("the test", spec.test);
  if (drawn && spec.test + spec.validation >= 1) {
    Fail("test (", spec.test, ") and validation (", spec.validation,
         ") leave no rows to train on: their sum must be below 1");
  }
  std::vector<Part> parts(static_cast<size_t>(table.rows()), Part::kTrain);
  if (spec.kind == Kind::kRandom) SplitRandomly(table, spec, parts);
  if (spec.kind == Kind::kStratified) SplitStratified(table, spec, parts);
  if (spec.kind == Kind::kModulo) SplitModulo(spec, parts);
  if (spec.kind == Kind::kColumn) {
    const auto strata = Strata(table, spec.column, /*allow_floats=*/true);
    if (!spec.train_values.empty()) {
      std::fill(parts.begin(), parts.end(), Part::kNone);
      MarkValues(strata, spec, spec.train_values, Part::kTrain, parts);
    }
    MarkValues(strata, spec, spec.test_values, Part::kTest, parts);
    MarkValues(strata, spec, spec.validation_values, Part::kValidation, parts);
  }
  if (ordered) SplitOrdered(spec, parts);
  if (!drawn && !ordered && !chosen && spec.validation > 0) DrawValidation(spec, parts);

  Split split;
  for (size_t row = 0; row < parts.size(); ++row) {
    if (parts[row] == Part::kNone) continue;
    std::vector<int64_t>& part = parts[row] == Part::kTrain  ? split.train
                                 : parts[row] == Part::kTest ? split.test
                                                             : split.validation;
    part.push_back(static_cast<int64_t>(row));
  }
  const auto check = [&](const char* name, const std::vector<int64_t>& part) {
    if (part.empty()) {
      Fail("the ", name, " part of the split is empty: the table has ", table.rows(),
           " rows; give more rows or change the split");
    }
  };
  check("training", split.train);
  if (drawn || ordered ? spec.test > 0 : tested) check("test", split.test);
  if (chosen || spec.validation > 0) check("validation", split.validation);
  return split;
}

}  // namespace beamline::engine::data
