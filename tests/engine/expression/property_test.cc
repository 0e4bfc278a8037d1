// Random expressions against an interpreter that goes row by row; and bytes that are none.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <variant>

#include "engine/core/philox.h"
#include "engine/expression/evaluate.h"

namespace beamline::engine::expression {
namespace {

using data::Column;
using data::Table;

// Missing, a number, a truth value or a text.
using Value = std::variant<std::monostate, double, int64_t, bool, std::string>;

bool None(const Value& value) { return value.index() == 0; }
double Real(const Value& value) {
  const auto* const whole = std::get_if<int64_t>(&value);
  return whole != nullptr ? static_cast<double>(*whole) : std::get<double>(value);
}
Value Number(double value) { return std::isnan(value) ? Value() : Value(value); }

// Walks the tree for one row.
class Interpreter {
 public:
  Interpreter(const Table& table, int64_t row) : table_(table), row_(row) {}

  Value Eval(const Node& node) {
    switch (node.kind) {
      case Node::Kind::kColumn:
        return Read(table_.Get(node.text));
      case Node::Kind::kReal:
        return node.real;
      case Node::Kind::kInteger:
        return node.integer;
      case Node::Kind::kText:
        return node.text;
      case Node::Kind::kBoolean:
        return node.integer != 0;
      case Node::Kind::kMissing:
        return {};
      case Node::Kind::kCall:
        return Call(node);
    }
    return {};
  }

 private:
  Value Read(const Column& column) const {
    if (column.IsMissing(row_)) return {};
    if (!column.is_numeric()) return column.Text(row_);
    if (column.type() == data::ColumnType::kBool) return column.Integer(row_) != 0;
    if (data::IsFloat(column.type())) return column.Number(row_);
    return column.Integer(row_);
  }

  Value Call(const Node& node) {
    const std::string& name = node.text;
    std::vector<Value> values;
    for (const Node& argument : node.arguments) values.push_back(Eval(argument));
    if (name == "row") return row_;
    if (name == "is_missing") return None(values[0]);
    if (name == "coalesce") return Widened(node, None(values[0]) ? values[1] : values[0]);
    if (name == "if") {
      if (None(values[0])) return {};
      return Widened(node, std::get<bool>(values[0]) ? values[1] : values[2]);
    }
    if (name == "and" || name == "or") return Logic(name == "or", values[0], values[1]);
    for (const Value& value : values) {
      if (None(value)) return {};
    }
    if (name == "not") return !std::get<bool>(values[0]);
    if (name == "in") return In(values);
    if (name == "lower" || name == "length" || name == "contains") return Text(name, values);
    if (values.size() == 2 && values[0].index() == 4)
      return Compare(name, std::get<4>(values[0]), std::get<4>(values[1]));
    const bool whole = values[0].index() == 2 && (values.size() == 1 || values[1].index() == 2);
    return whole && name != "/" && name != "^" && name != "sqrt" ? Whole(name, values)
                                                                 : Fraction(name, values);
  }

  // Whether the value is a fraction in every row.
  bool IsReal(const Node& node) const {
    if (node.kind == Node::Kind::kColumn) return data::IsFloat(table_.Get(node.text).type());
    if (node.kind != Node::Kind::kCall) return node.kind == Node::Kind::kReal;
    const std::string& name = node.text;
    if (name == "/" || name == "^" || name == "sqrt") return true;
    const std::string arithmetic[] = {"+",   "-",   "*",   "%",        "negate",
                                      "abs", "min", "max", "coalesce", "if"};
    if (std::ranges::find(arithmetic, name) == std::end(arithmetic)) return false;
    return std::any_of(node.arguments.begin() + (name == "if" ? 1 : 0), node.arguments.end(),
                       [&](const Node& argument) { return IsReal(argument); });
  }
  Value Widened(const Node& node, const Value& value) const {
    const bool whole = value.index() == 2;
    const auto& arguments = node.arguments;
    return whole && (IsReal(arguments.back()) || IsReal(arguments[arguments.size() - 2]))
               ? Value(Real(value))
               : value;
  }

  static Value Logic(bool is_or, const Value& a, const Value& b) {
    // One that decides does so whatever the other is.
    for (const Value& value : {a, b}) {
      if (!None(value) && std::get<bool>(value) == is_or) return is_or;
    }
    return None(a) || None(b) ? Value() : Value(!is_or);
  }
  static Value In(const std::vector<Value>& values) {
    for (size_t i = 1; i < values.size(); ++i) {
      if (values[0].index() == 4 ? values[0] == values[i] : Real(values[0]) == Real(values[i]))
        return true;
    }
    return false;
  }
  static Value Text(const std::string& name, const std::vector<Value>& values) {
    std::string text = std::get<std::string>(values[0]);
    if (name == "length") return static_cast<int64_t>(text.size());
    if (name == "contains") return text.find(std::get<4>(values[1])) != std::string::npos;
    for (char& c : text) c = static_cast<char>(std::tolower(c));
    return text;
  }
  template <typename T>
  static Value Compare(const std::string& name, const T& a, const T& b) {
    if (name == "<") return a < b;
    if (name == "<=") return a <= b;
    if (name == ">") return a > b;
    if (name == ">=") return a >= b;
    if (name == "==") return a == b;
    if (name == "!=") return a != b;
    ADD_FAILURE() << name;
    return {};
  }
  static Value Whole(const std::string& name, const std::vector<Value>& values) {
    const auto a = static_cast<__int128>(std::get<int64_t>(values[0]));
    const auto b = static_cast<__int128>(values.size() > 1 ? std::get<int64_t>(values[1]) : 0);
    __int128 result = 0;
    if (name == "+")
      result = a + b;
    else if (name == "-")
      result = a - b;
    else if (name == "*")
      result = a * b;
    else if (name == "negate")
      result = -a;
    else if (name == "abs")
      result = a < 0 ? -a : a;
    else if (name == "min")
      result = a < b ? a : b;
    else if (name == "max")
      result = a < b ? b : a;
    else if (name == "%") {
      if (b == 0) return {};
      result = ((a % b) + b) % b;
    } else {
      return Compare(name, std::get<int64_t>(values[0]), std::get<int64_t>(values[1]));
    }
    if (result > INT64_MAX || result < INT64_MIN) return {};
    return static_cast<int64_t>(result);
  }
  static Value Fraction(const std::string& name, const std::vector<Value>& values) {
    const double a = Real(values[0]);
    const double b = values.size() > 1 ? Real(values[1]) : 0;
    if (name == "+") return Number(a + b);
    if (name == "-") return Number(a - b);
    if (name == "*") return Number(a * b);
    if (name == "/") return Number(a / b);
    if (name == "^") return Number(std::pow(a, b));
    if (name == "negate") return Number(-a);
    if (name == "abs") return Number(std::fabs(a));
    if (name == "sqrt") return Number(std::sqrt(a));
    if (name == "min") return Number(std::min(a, b));
    if (name == "max") return Number(std::max(a, b));
    if (name == "%") return Number(a - b * std::floor(a / b));
    return Compare(name, a, b);
  }

  const Table& table_;
  const int64_t row_;
};

// Writes random expressions of a type, by a counter.
class Writer {
 public:
  explicit Writer(uint64_t seed) : random_(seed, 7) {}

  std::string Numeric(int depth) {
    if (depth == 0) return Pick({"x", "y", "n", "m", "2", "0.5", "7", "row()", "-3"});
    switch (Below(7)) {
      case 0:
        return "(" + Numeric(depth - 1) + Pick({" + ", " - ", " * ", " / "}) + Numeric(depth - 1) +
               ")";
      case 1:
        return Pick({"min(", "max("}) + Numeric(depth - 1) + ", " + Numeric(depth - 1) + ")";
      case 2:
        return "if(" + Truth(depth - 1) + ", " + Numeric(depth - 1) + ", " +
               (Below(4) == 0 ? "missing" : Numeric(depth - 1)) + ")";
      case 3:
        return "coalesce(" + Numeric(depth - 1) + ", " + Numeric(depth - 1) + ")";
      case 4:
        return Pick({"abs(", "sqrt(", "-(", "("}) + Numeric(depth - 1) + ")";
      case 5:
        return "(" + Numeric(depth - 1) + ") ^ " + Pick({"2", "0", "0.5", "3"});
      default:
        return "length(" + Text(depth - 1) + ") % " + Pick({"2", "n", "-3"});
    }
  }
  std::string Truth(int depth) {
    if (depth == 0) return Pick({"a", "x > 0", "n == m", "true", "s < t"});
    switch (Below(6)) {
      case 0:
        return "(" + Truth(depth - 1) + Pick({" and ", " or "}) + Truth(depth - 1) + ")";
      case 1:
        return "not " + Truth(depth - 1);
      case 2:
        return "(" + Numeric(depth - 1) + Pick({" < ", " <= ", " > ", " >= ", " == ", " != "}) +
               Numeric(depth - 1) + ")";
      case 3:
        return "is_missing(" + (Below(2) == 0 ? Numeric(depth - 1) : Text(depth - 1)) + ")";
      case 4:
        return "(" + Text(depth - 1) + Pick({" in (\"aa\", 'b')", " == t", " != \"B\""}) + ")";
      default:
        return "contains(" + Text(depth - 1) + ", " + Text(depth - 1) + ")";
    }
  }
  std::string Text(int depth) {
    if (depth == 0) return Pick({"s", "t", "\"aB\""});
    switch (Below(3)) {
      case 0:
        return "lower(" + Text(depth - 1) + ")";
      case 1:
        return "coalesce(" + Text(depth - 1) + ", " + Text(depth - 1) + ")";
      default:
        return "if(" + Truth(depth - 1) + ", " + Text(depth - 1) + ", " + Text(depth - 1) + ")";
    }
  }
  uint64_t Below(uint64_t bound) { return random_.Below(++counter_, bound); }
  double Normal() { return random_.Normal(++counter_); }

 private:
  std::string Pick(std::vector<std::string> from) { return from[Below(from.size())]; }

  Philox random_;
  uint64_t counter_ = 0;
};

// Over several chunks, so that threads have something to share.
Table RandomTable(Writer& writer, int64_t rows) {
  std::vector<double> x, y;
  std::vector<int64_t> n;
  std::vector<int32_t> m;
  std::vector<std::string> s, t;
  const auto text = [&] {
    return std::vector<std::string>{"", "aa", "b", "B", "Aab"}[writer.Below(5)];
  };
  for (int64_t i = 0; i < rows; ++i) {
    const bool none = writer.Below(5) == 0;
    x.push_back(none ? std::nan("") : std::round(4 * writer.Normal()) / 4);
    y.push_back(writer.Below(9) == 0 ? std::numeric_limits<double>::infinity() : writer.Normal());
    n.push_back(writer.Below(7) == 0 ? INT64_MAX - 1 : static_cast<int64_t>(writer.Below(9)) - 4);
    m.push_back(static_cast<int32_t>(writer.Below(9)) - 4);
    s.push_back(text());
    t.push_back(text());
  }
  std::vector<Column> columns = {Column::Of("x", x),        Column::Of("y", y),
                                 Column::Of("n", n),        Column::Of("m", m),
                                 Column::OfStrings("s", s), Column::OfStrings("t", t)};
  data::Workspace workspace({});
  const Table table(columns);
  // A column of truth values with holes.
  const Compiled a = Compile("if(is_missing(x), missing, x > 0)", SchemaOf(table));
  columns.push_back(Evaluate(a.program, table, "a", workspace));
  return Table(columns);
}

void ExpectSame(const Column& column, int64_t row, const Value& wanted) {
  ASSERT_EQ(column.IsMissing(row), None(wanted)) << column.Text(row);
  if (None(wanted)) return;
  if (wanted.index() == 4) {
    ASSERT_EQ(column.Text(row), std::get<4>(wanted));
  } else if (wanted.index() == 3) {
    ASSERT_EQ(column.Integer(row), std::get<bool>(wanted) ? 1 : 0);
  } else if (data::IsFloat(column.type())) {
    const double value = Real(wanted);
    if (column.Number(row) == value) return;
    ASSERT_NEAR(column.Number(row), value, 1e-14 * std::fabs(value));
  } else {
    ASSERT_EQ(column.Integer(row), std::get<int64_t>(wanted));
  }
}

TEST(Expression, AgreesWithAnInterpreter) {
  Writer writer(11);
  const Table table = RandomTable(writer, 300);
  data::Workspace workspace({});
  int computed = 0;
  for (int i = 0; i < 1500; ++i) {
    const int depth = 1 + static_cast<int>(writer.Below(4));
    const std::string text = i % 3 == 0   ? writer.Numeric(depth)
                             : i % 3 == 1 ? writer.Truth(depth)
                                          : writer.Text(depth);
    SCOPED_TRACE(text);
    const Compiled compiled = Compile(text, SchemaOf(table));
    ASSERT_EQ(FormatProblems(compiled.problems), "");
    const Column column = Evaluate(compiled.program, table, "out", workspace);
    const Syntax syntax = Parse(text);
    for (int64_t row = 0; row < table.rows(); ++row) {
      SCOPED_TRACE(row);
      ExpectSame(column, row, Interpreter(table, row).Eval(syntax.root));
      if (HasFatalFailure()) return;
      ++computed;
    }
  }
  EXPECT_EQ(computed, 450000);
}

TEST(Expression, IsTheSameForAnyNumberOfThreads) {
  Writer writer(3);
  const Table table = RandomTable(writer, 3 * data::kChunkRows + 77);
  for (const char* text : {"if(a, s, lower(text(m)))", "n * m + row()", "x > y or a", "x / y"}) {
    const Compiled compiled = Compile(text, SchemaOf(table));
    std::optional<Column> first;
    for (const int threads : {1, 2, 3, 8}) {
      data::Workspace workspace({.threads = threads});
      const Column column = Evaluate(compiled.program, table, "out", workspace);
      if (!first.has_value()) first = column;
      EXPECT_TRUE(std::ranges::equal(first->bytes(), column.bytes())) << text;
      EXPECT_EQ(first->categories(), column.categories());
      ASSERT_EQ(first->validity() == nullptr, column.validity() == nullptr);
      for (int64_t i = 0; first->validity() != nullptr && i < (table.rows() + 7) / 8; ++i) {
        ASSERT_EQ(first->validity()[i], column.validity()[i]);
      }
    }
  }
}

TEST(Expression, ChoosesRowsThatAreTrue) {
  Writer writer(5);
  const Table table = RandomTable(writer, data::kChunkRows + 9);
  const Compiled compiled = Compile("a and n > 0", SchemaOf(table));
  data::Workspace workspace({.threads = 2});
  const auto rows = RowsWhere(compiled.program, table, workspace);
  int64_t next = 0;
  for (int64_t row = 0; row < table.rows(); ++row) {
    const bool wanted = !table.Get("a").IsMissing(row) && table.Get("a").Integer(row) == 1 &&
                        table.Get("n").Integer(row) > 0;
    if (!wanted) continue;
    ASSERT_EQ(rows[next++], row);
  }
  EXPECT_EQ(next, rows.size);
}

TEST(Expression, ReadsAnyBytes) {
  Writer writer(17);
  const std::string alphabet = "xynmast \"'`()+-*/%^<>=!,.0123456789eandornotifin\\\n\xC3\xA4$&|_";
  Writer sample(4);
  const Table table = RandomTable(sample, 10);
  data::Workspace workspace({});
  int good = 0;
  for (int i = 0; i < 30000; ++i) {
    std::string text = writer.Below(2) == 0 ? "" : writer.Truth(2);
    const uint64_t changes = 1 + writer.Below(12);
    for (uint64_t k = 0; k < changes; ++k) {
      const auto at = static_cast<std::ptrdiff_t>(writer.Below(text.size() + 1));
      text.insert(text.begin() + at, alphabet[writer.Below(alphabet.size())]);
    }
    const Compiled compiled = Compile(text, SchemaOf(table));
    for (const Problem& problem : compiled.problems) {
      ASSERT_GE(problem.column, 1) << text;
      ASSERT_LE(static_cast<size_t>(problem.column), text.size() + 1) << text;
    }
    if (!compiled.problems.empty()) continue;
    Evaluate(compiled.program, table, "out", workspace);
    ++good;
  }
  EXPECT_GT(good, 100);
}

}  // namespace
}  // namespace beamline::engine::expression
