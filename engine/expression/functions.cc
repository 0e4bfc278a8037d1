#include "engine/expression/functions.h"

#include <algorithm>
#include <iterator>

namespace beamline::engine::expression {
namespace {

constexpr int kAnyNumber = 100;

constexpr Function kFunctions[] = {
    {"+", Rule::kNumbers, Op::kAdd, 2, 2, ""},
    {"-", Rule::kNumbers, Op::kSubtract, 2, 2, ""},
    {"*", Rule::kNumbers, Op::kMultiply, 2, 2, ""},
    {"%", Rule::kNumbers, Op::kModulo, 2, 2, ""},
    {"negate", Rule::kNumbers, Op::kNegate, 1, 1, ""},
    {"/", Rule::kReals, Op::kDivide, 2, 2, ""},
    {"^", Rule::kReals, Op::kPower, 2, 2, ""},
    {"==", Rule::kEquality, Op::kEqual, 2, 2, ""},
    {"!=", Rule::kEquality, Op::kUnequal, 2, 2, ""},
    {"<", Rule::kOrder, Op::kLess, 2, 2, ""},
    {"<=", Rule::kOrder, Op::kLessEqual, 2, 2, ""},
    {">", Rule::kOrder, Op::kLess, 2, 2, "", true},
    {">=", Rule::kOrder, Op::kLessEqual, 2, 2, "", true},
    {"and", Rule::kLogic, Op::kAnd, 2, 2, ""},
    {"or", Rule::kLogic, Op::kOr, 2, 2, ""},
    {"not", Rule::kLogic, Op::kNot, 1, 1, ""},
    {"in", Rule::kMembership, Op::kIn, 2, 100000, ""},
    {"abs", Rule::kNumbers, Op::kAbs, 1, 1, "abs(x)"},
    {"acos", Rule::kReals, Op::kAcos, 1, 1, "acos(x)"},
    {"asin", Rule::kReals, Op::kAsin, 1, 1, "asin(x)"},
    {"atan", Rule::kReals, Op::kAtan, 1, 1, "atan(x)"},
    {"atan2", Rule::kReals, Op::kAtan2, 2, 2, "atan2(y, x)"},
    {"ceil", Rule::kRounding, Op::kCeil, 1, 1, "ceil(x)"},
    {"coalesce", Rule::kSame, Op::kCoalesce, 2, kAnyNumber, "coalesce(a, b, ...)"},
    {"contains", Rule::kMatch, Op::kContains, 2, 2, "contains(text, part)"},
    {"cos", Rule::kReals, Op::kCos, 1, 1, "cos(x)"},
    {"cosh", Rule::kReals, Op::kCosh, 1, 1, "cosh(x)"},
    {"ends_with", Rule::kMatch, Op::kEndsWith, 2, 2, "ends_with(text, part)"},
    {"exp", Rule::kReals, Op::kExp, 1, 1, "exp(x)"},
    {"floor", Rule::kRounding, Op::kFloor, 1, 1, "floor(x)"},
    {"hypot", Rule::kReals, Op::kHypot, 2, 2, "hypot(x, y)"},
    {"if", Rule::kChoice, Op::kIf, 3, 3, "if(condition, a, b)"},
    {"integer", Rule::kToInteger, Op::kTruncate, 1, 1, "integer(x)"},
    {"is_missing", Rule::kAny, Op::kIsMissing, 1, 1, "is_missing(x)"},
    {"length", Rule::kLength, Op::kLength, 1, 1, "length(text)"},
    {"log", Rule::kReals, Op::kLog, 1, 1, "log(x)"},
    {"log10", Rule::kReals, Op::kLog10, 1, 1, "log10(x)"},
    {"lower", Rule::kText, Op::kLower, 1, 1, "lower(text)"},
    {"max", Rule::kNumbers, Op::kMax, 2, kAnyNumber, "max(a, b, ...)"},
    {"min", Rule::kNumbers, Op::kMin, 2, kAnyNumber, "min(a, b, ...)"},
    {"number", Rule::kToNumber, Op::kParse, 1, 1, "number(text)"},
    {"pi", Rule::kPi, Op::kConstant, 0, 0, "pi()"},
    {"round", Rule::kRounding, Op::kRound, 1, 1, "round(x)"},
    {"row", Rule::kRowNumber, Op::kRow, 0, 0, "row()"},
    {"sign", Rule::kNumbers, Op::kSign, 1, 1, "sign(x)"},
    {"sin", Rule::kReals, Op::kSin, 1, 1, "sin(x)"},
    {"sinh", Rule::kReals, Op::kSinh, 1, 1, "sinh(x)"},
    {"sqrt", Rule::kReals, Op::kSqrt, 1, 1, "sqrt(x)"},
    {"starts_with", Rule::kMatch, Op::kStartsWith, 2, 2, "starts_with(text, part)"},
    {"substring", Rule::kSubstring, Op::kSubstring, 2, 3, "substring(text, from, count)"},
    {"tan", Rule::kReals, Op::kTan, 1, 1, "tan(x)"},
    {"tanh", Rule::kReals, Op::kTanh, 1, 1, "tanh(x)"},
    {"text", Rule::kToText, Op::kWrite, 1, 1, "text(x)"},
    {"upper", Rule::kText, Op::kUpper, 1, 1, "upper(text)"},
};

}  // namespace

const Function* FindFunction(std::string_view name) {
  const auto* const found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                         [&](const Function& each) { return each.name == name; });
  return found == std::end(kFunctions) ? nullptr : found;
}

std::vector<std::string> FunctionNames() {
  std::vector<std::string> names;
  for (const Function& function : kFunctions) {
    if (!function.usage.empty()) names.emplace_back(function.name);
  }
  return names;
}

}  // namespace beamline::engine::expression
