// An expression whose types are known: what is computed, in the order in which it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/column.h"
#include "engine/expression/syntax.h"

namespace beamline::engine::expression {

// What a value is while it is computed. Every one may be missing.
enum class Type : uint8_t {
  kReal,     // float64; a missing one is NaN
  kInteger,  // int64
  kBoolean,
  kText,  // never empty: an empty one is missing
};
// "a number", "true or false", ...: for messages.
std::string_view Describe(Type type);

enum class Op : uint8_t {
  // Columns and constants. Columns of narrower types are widened.
  kColumn,
  kConstant,
  kMissing,
  kRow,
  // Conversions.
  kToReal,  // of integers and booleans
  kTruncate,
  kCount,  // boolean -> 0 or 1
  kParse,
  kWrite,
  // Numbers, real or integer as `type` says.
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kModulo,
  kPower,
  kSmallPower,  // integer: the exponent, 0 to 4
  kNegate,
  kAbs,
  kSign,
  kMin,
  kMax,
  // Reals.
  kFloor,
  kCeil,
  kRound,
  kSqrt,
  kExp,
  kLog,
  kLog10,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kTanh,
  kAtan2,
  kHypot,
  // Truth. Comparisons are of the type that both arguments have.
  kEqual,
  kUnequal,
  kLess,
  kLessEqual,
  kAnd,
  kOr,
  kNot,
  kIn,
  kIsMissing,
  // Of any type.
  kIf,
  kCoalesce,
  // Texts.
  kLower,
  kUpper,
  kLength,
  kContains,
  kStartsWith,
  kEndsWith,
  kSubstring,
};

// One value for each row, from those of instructions before it.
struct Instruction {
  Op op = Op::kMissing;
  Type type = Type::kReal;
  std::vector<int> arguments;  // places of instructions
  int column = -1;             // kColumn: its place in the schema
  double real = 0;             // constants
  int64_t integer = 0;
  std::string text;
  // kIn: what its values are; sorted. One of them by the argument's type.
  std::vector<double> reals;
  std::vector<int64_t> integers;
  std::vector<std::string> texts;
};

// Each instruction stands behind its arguments, and no other uses these: so those that one needs
// are the instructions from some place up to it. The last one is the result.
struct Program {
  std::vector<Instruction> code;
  Type type() const { return code.back().type; }
  // Names of the columns that are read, by Instruction::column.
  std::vector<std::string> columns;
};

// A column as far as types matter.
struct ColumnInfo {
  std::string name;
  data::ColumnType type = data::ColumnType::kFloat64;
  bool plain = true;  // one value a row
};

struct Compiled {
  Program program;
  // Everything that is wrong, in the order of the text. The program is empty if there is any.
  std::vector<Problem> problems;
};

// Finds columns, functions and types. Never throws but std::bad_alloc. Thread-safe.
Compiled Compile(const Node& root, const std::vector<ColumnInfo>& schema);
// Reads the text first.
Compiled Compile(std::string_view text, const std::vector<ColumnInfo>& schema);

// The type of a column of such values.
data::ColumnType ColumnTypeOf(Type type);
// The type that the result has in a table: a column alone keeps its own.
data::ColumnType ResultType(const Program& program, const std::vector<ColumnInfo>& schema);

}  // namespace beamline::engine::expression
