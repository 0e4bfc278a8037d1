#include "engine/expression/evaluator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/core/error.h"

namespace beamline::engine::expression {
namespace {

using data::Column;
using data::ColumnType;

constexpr int kNoColumn = -1;
constexpr int kSeveral = -2;  // columns, or the number of the row

bool IsPresent(const uint8_t* validity, int64_t row) {
  return validity == nullptr || (validity[row >> 3] >> (row & 7) & 1) != 0;
}

template <typename T>
void LoadIntegers(const Column& column, int64_t begin, int64_t rows, Buffers& own, Vector* out) {
  const T* const values = static_cast<const T*>(static_cast<const void*>(column.bytes().data()));
  for (int64_t i = 0; i < rows; ++i) own.integers[static_cast<size_t>(i)] = values[begin + i];
  out->integers = own.integers.data();
  out->present = nullptr;
  if (column.validity() == nullptr) return;
  for (int64_t i = 0; i < rows; ++i) {
    own.present[static_cast<size_t>(i)] = IsPresent(column.validity(), begin + i) ? 1 : 0;
  }
  out->present = own.present.data();
}

// Column of each instruction's part of the program, or kNoColumn, or kSeveral.
std::vector<int> ColumnsOf(const Program& program) {
  std::vector<int> columns;
  for (const Instruction& code : program.code) {
    int column = code.op == Op::kRow ? kSeveral : code.column;
    for (const int place : code.arguments) {
      const int other = columns[static_cast<size_t>(place)];
      if (other == kNoColumn) continue;
      column = column == kNoColumn || column == other ? other : kSeveral;
    }
    columns.push_back(column);
  }
  return columns;
}

// The first instruction of each instruction's part of the program.
std::vector<int> FirstOf(const Program& program) {
  std::vector<int> first;
  for (const Instruction& code : program.code) {
    const auto own = static_cast<int>(first.size());
    first.push_back(code.arguments.empty() ? own
                                           : first[static_cast<size_t>(code.arguments.front())]);
  }
  return first;
}

void Fit(const Instruction& code, size_t rows, Buffers* own) {
  switch (code.type) {
    case Type::kReal:
      own->reals.resize(rows);
      break;
    case Type::kInteger:
      own->integers.resize(rows);
      own->present.resize(rows, 1);
      break;
    case Type::kBoolean:
      own->truths.resize(rows);
      break;
    case Type::kText:
      own->texts.resize(rows);
  }
}

void Fill(const Instruction& code, Buffers& own, Vector* out) {
  const bool missing = code.op == Op::kMissing;
  std::fill(own.reals.begin(), own.reals.end(),
            missing ? std::numeric_limits<double>::quiet_NaN() : code.real);
  std::fill(own.integers.begin(), own.integers.end(), missing ? 0 : code.integer);
  std::fill(own.present.begin(), own.present.end(), missing ? 0 : 1);
  std::fill(own.truths.begin(), own.truths.end(),
            static_cast<uint8_t>(missing ? 1 : code.integer * kTrue));
  std::fill(own.texts.begin(), own.texts.end(),
            missing ? std::string_view() : std::string_view(code.text));
  *out = {own.reals.data(), own.integers.data(), missing ? own.present.data() : nullptr,
          own.truths.data(), own.texts.data()};
}

}  // namespace

Evaluator::Evaluator(const Program& program, const data::Table& table) : program_(program) {
  columns_.resize(program.columns.size());
  for (const Instruction& code : program.code) {
    if (code.column < 0) continue;
    const auto place = static_cast<size_t>(code.column);
    columns_[place] = &table.Get(program.columns[place]);
  }
  Plan(table.rows());
}

Evaluator::Evaluator(const Program& program, std::vector<const Column*> columns)
    : program_(program), columns_(std::move(columns)) {
  ways_.assign(program.code.size(), Way::kCompute);
  tables_.resize(program.code.size());
}

void Evaluator::Plan(int64_t rows) {
  const auto size = static_cast<int>(program_.code.size());
  const std::vector<int> column = ColumnsOf(program_);
  const std::vector<int> first = FirstOf(program_);
  ways_.assign(static_cast<size_t>(size), Way::kCompute);
  tables_.resize(static_cast<size_t>(size));
  for (int i = size - 1; i >= 0; --i) {
    const auto at = static_cast<size_t>(i);
    if (ways_[at] == Way::kSkip) continue;
    if (column[at] == kNoColumn) ways_[at] = Way::kOnce;
    if (column[at] < 0 || first[at] == i) continue;
    const Column& of = *columns_[static_cast<size_t>(column[at])];
    if (of.is_numeric() || static_cast<int64_t>(of.categories().size()) >= rows) continue;
    Tabulate(first[at], i, of);
    ways_[at] = Way::kLookUp;
    std::fill(ways_.begin() + first[at], ways_.begin() + i, Way::kSkip);
  }
}

// Runs the instructions from `first` to `last` for each category.
void Evaluator::Tabulate(int first, int last, const Column& column) {
  auto table = std::make_unique<ByCategory>();
  table->codes = column.values<int32_t>().data();
  std::vector<int32_t> codes(column.categories().size() + 1);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int32_t>(i) - 1;
  const Column each({.name = column.name(),
                     .type = ColumnType::kCategorical,
                     .rows = static_cast<int64_t>(codes.size()),
                     .values = codes.data(),
                     .categories = {&column.categories(), [](const void*) {}}});
  Program part;
  part.columns = program_.columns;
  for (int i = first; i <= last; ++i) {
    Instruction& code = part.code.emplace_back(program_.code[static_cast<size_t>(i)]);
    for (int& place : code.arguments) place -= first;
  }
  const Evaluator evaluator(part, std::vector<const Column*>(columns_.size(), &each));
  Scratch scratch = evaluator.MakeScratch();
  const Instruction& code = program_.code[static_cast<size_t>(last)];
  Buffers& to = table->values;
  Fit(code, codes.size(), &to);
  for (int64_t begin = 0; begin < each.rows(); begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, each.rows() - begin);
    const Vector& values = evaluator.Run(begin, rows, scratch);
    for (int64_t i = 0; i < rows; ++i) {
      const auto at = static_cast<size_t>(begin + i);
      if (code.type == Type::kReal) to.reals[at] = values.reals[i];
      if (code.type == Type::kBoolean) to.truths[at] = values.truths[i];
      if (code.type == Type::kInteger) {
        to.integers[at] = values.integers[i];
        to.present[at] = values.present == nullptr ? 1 : values.present[i];
      }
      if (code.type == Type::kText && values.texts[i].data() != nullptr) {
        to.texts[at] = to.strings.emplace_back(values.texts[i]);
      }
    }
  }
  tables_[static_cast<size_t>(last)] = std::move(table);
}

void Evaluator::Load(const Instruction& code, int64_t begin, int64_t rows, Buffers& own,
                     Vector* out) const {
  const Column& column = *columns_[static_cast<size_t>(code.column)];
  const void* const values = column.bytes().data();
  switch (column.type()) {
    case ColumnType::kFloat64:
      out->reals = static_cast<const double*>(values) + begin;
      break;
    case ColumnType::kFloat32:
      for (int64_t i = 0; i < rows; ++i) {
        own.reals[static_cast<size_t>(i)] = static_cast<const float*>(values)[begin + i];
      }
      out->reals = own.reals.data();
      break;
    case ColumnType::kInt64:
      LoadIntegers<int64_t>(column, begin, rows, own, out);
      if (column.validity() == nullptr) out->integers = static_cast<const int64_t*>(values) + begin;
      break;
    case ColumnType::kInt32:
      LoadIntegers<int32_t>(column, begin, rows, own, out);
      break;
    case ColumnType::kUint8:
      LoadIntegers<uint8_t>(column, begin, rows, own, out);
      break;
    case ColumnType::kBool:
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t row = begin + i;
        own.truths[static_cast<size_t>(i)] = !IsPresent(column.validity(), row) ? kUnknown
                                             : static_cast<const uint8_t*>(values)[row] != 0
                                                 ? kTrue
                                                 : kFalse;
      }
      out->truths = own.truths.data();
      break;
    case ColumnType::kCategorical: {
      const std::vector<std::string>& categories = column.categories();
      for (int64_t i = 0; i < rows; ++i) {
        const int32_t place = static_cast<const int32_t*>(values)[begin + i];
        const bool known = place >= 0 && static_cast<size_t>(place) < categories.size() &&
                           !categories[static_cast<size_t>(place)].empty();
        own.texts[static_cast<size_t>(i)] =
            known ? std::string_view(categories[static_cast<size_t>(place)]) : std::string_view();
      }
      out->texts = own.texts.data();
    }
  }
}

void Evaluator::LookUp(const Instruction& code, const ByCategory& table, int64_t begin,
                       int64_t rows, Buffers& own, Vector* out) const {
  const int32_t* const codes = table.codes + begin;
  const auto copy = [&](const auto& from, auto& to) {
    for (int64_t i = 0; i < rows; ++i) {
      to[static_cast<size_t>(i)] = from[static_cast<size_t>(codes[i] + 1)];
    }
  };
  if (code.type == Type::kReal) copy(table.values.reals, own.reals);
  if (code.type == Type::kBoolean) copy(table.values.truths, own.truths);
  if (code.type == Type::kText) copy(table.values.texts, own.texts);
  if (code.type == Type::kInteger) {
    copy(table.values.integers, own.integers);
    copy(table.values.present, own.present);
  }
  *out = {own.reals.data(), own.integers.data(), own.present.data(), own.truths.data(),
          own.texts.data()};
}

void Evaluator::Compute(size_t place, int64_t begin, int64_t rows, Scratch& scratch) const {
  const Instruction& code = program_.code[place];
  Buffers& own = scratch.buffers[place];
  Vector* const out = &scratch.values[place];
  if (code.op == Op::kColumn) return Load(code, begin, rows, own, out);
  if (code.op == Op::kConstant || code.op == Op::kMissing) return Fill(code, own, out);
  if (code.op == Op::kRow) {
    for (int64_t i = 0; i < rows; ++i) own.integers[static_cast<size_t>(i)] = begin + i;
    out->integers = own.integers.data();
    return;
  }
  Step step{code, {}, {}, rows, own};
  for (const int argument : code.arguments) {
    step.inputs.push_back(&scratch.values[static_cast<size_t>(argument)]);
    step.types.push_back(program_.code[static_cast<size_t>(argument)].type);
  }
  if (RunNumbers(step, out) || RunTruth(step, out) || RunChoice(step, out) || RunTexts(step, out)) {
    return;
  }
  throw Error("an instruction of an expression is not known");
}

Evaluator::Scratch Evaluator::MakeScratch() const {
  Scratch scratch;
  scratch.values.resize(program_.code.size());
  scratch.buffers.resize(program_.code.size());
  for (size_t i = 0; i < program_.code.size(); ++i) {
    if (ways_[i] == Way::kSkip) continue;
    Fit(program_.code[i], kBlockRows, &scratch.buffers[i]);
    if (ways_[i] == Way::kOnce) Compute(i, 0, kBlockRows, scratch);
  }
  return scratch;
}

const Vector& Evaluator::Run(int64_t begin, int64_t rows, Scratch& scratch) const {
  for (size_t i = 0; i < program_.code.size(); ++i) {
    switch (ways_[i]) {
      case Way::kCompute:
        Compute(i, begin, rows, scratch);
        break;
      case Way::kLookUp:
        LookUp(program_.code[i], *tables_[i], begin, rows, scratch.buffers[i], &scratch.values[i]);
        break;
      default:
        break;
    }
  }
  return scratch.values.back();
}

}  // namespace beamline::engine::expression
