// What each kind of function makes of its arguments.
#include <algorithm>
#include <numbers>
#include <utility>

#include "engine/data/text.h"
#include "engine/expression/compiler.h"

namespace beamline::engine::expression {
namespace {

using data::Cat;

bool IsNumber(Type type) { return type == Type::kReal || type == Type::kInteger; }

// What an operator is called in messages.
std::string Called(const Function& function) {
  if (!function.usage.empty()) return Cat(function.name, "(...)");
  return function.name == "negate" ? "the sign \"-\"" : Cat("\"", function.name, "\"");
}

}  // namespace

bool Compiler::Want(const Node& node, const Function& function, const std::vector<Code>& arguments,
                    std::initializer_list<Type> types, std::string_view wanted, size_t first) {
  for (size_t i = first; i < arguments.size(); ++i) {
    const Type type = arguments[i].back().type;
    const bool fits = std::find(types.begin(), types.end(), type) != types.end();
    if (fits && !IsUntyped(arguments[i])) continue;
    Note(node.arguments[i],
         Cat(Called(function), " takes ", wanted, ", but this is ",
             IsUntyped(arguments[i]) ? "missing: ask is_missing(...)" : Describe(type)));
    return false;
  }
  return true;
}
void Compiler::ToReal(Code& code) {
  if (code.back().type == Type::kReal) return;
  if (code.back().op == Op::kConstant && code.back().type == Type::kInteger) {
    code.back().type = Type::kReal;
    code.back().real = static_cast<double>(code.back().integer);
    return;
  }
  Instruction out;
  out.op = Op::kToReal;
  out.arguments = {static_cast<int>(code.size()) - 1};
  code.push_back(std::move(out));
}
bool Compiler::Unify(const Node& node, const Function& function, std::vector<Code>& arguments,
                     size_t first) {
  const Instruction* model = nullptr;
  bool real = false;
  for (size_t i = first; i < arguments.size(); ++i) {
    if (IsUntyped(arguments[i])) continue;
    const Type type = arguments[i].back().type;
    real = real || type == Type::kReal;
    if (model == nullptr) model = &arguments[i].back();
    if (type == model->type || (IsNumber(type) && IsNumber(model->type))) continue;
    Note(node.arguments[i], Cat(Called(function), " takes values of one type, but this is ",
                                Describe(type), " and the one before it ", Describe(model->type)));
    return false;
  }
  if (model == nullptr) {
    Note(node, Cat(Called(function), " takes a value beside missing"));
    return false;
  }
  const Type type = real ? Type::kReal : model->type;
  for (size_t i = first; i < arguments.size(); ++i) {
    if (IsUntyped(arguments[i])) {
      arguments[i].back().type = type;
      arguments[i].back().integer = 1;  // Typed.
    } else if (real) {
      ToReal(arguments[i]);
    }
  }
  return true;
}
Compiler::Code Compiler::Join(const Function& function, Type type, std::vector<Code> arguments) {
  Instruction out;
  out.op = function.op;
  out.type = type;
  Code code;
  if (function.reversed) std::swap(arguments[0], arguments[1]);
  for (Code& argument : arguments) {
    if (code.empty()) {
      code = std::move(argument);  // Long chains lean to the left.
    } else {
      const auto base = static_cast<int>(code.size());
      for (Instruction& each : argument) {
        for (int& place : each.arguments) place += base;
        code.push_back(std::move(each));
      }
    }
    out.arguments.push_back(static_cast<int>(code.size()) - 1);
  }
  code.push_back(std::move(out));
  return code;
}
Compiler::Code Compiler::Apply(const Node& node, const Function& function,
                               std::vector<Code> arguments) {
  switch (function.rule) {
    case Rule::kNumbers:
    case Rule::kReals:
    case Rule::kRounding:
      return Numbers(node, function, std::move(arguments));
    case Rule::kOrder:
    case Rule::kEquality: {
      const bool order = function.rule == Rule::kOrder;
      if (!(order ? Want(node, function, arguments, {Type::kReal, Type::kInteger, Type::kText},
                         "numbers or texts")
                  : Want(node, function, arguments,
                         {Type::kReal, Type::kInteger, Type::kText, Type::kBoolean}, "values")) ||
          !Unify(node, function, arguments)) {
        return {};
      }
      return Join(function, Type::kBoolean, std::move(arguments));
    }
    case Rule::kLogic:
      if (!Want(node, function, arguments, {Type::kBoolean}, "true or false")) return {};
      return Join(function, Type::kBoolean, std::move(arguments));
    case Rule::kMembership:
      return Membership(node, function, std::move(arguments));
    case Rule::kAny:
      if (IsUntyped(arguments[0])) arguments[0].back().integer = 1;
      return Join(function, Type::kBoolean, std::move(arguments));
    case Rule::kChoice: {
      std::vector<Code> condition;
      condition.push_back(arguments[0]);
      if (!Want(node, function, condition, {Type::kBoolean}, "true or false first")) return {};
      [[fallthrough]];
    }
    case Rule::kSame: {
      const size_t first = function.rule == Rule::kChoice ? 1 : 0;
      if (!Unify(node, function, arguments, first)) return {};
      const Type type = arguments[first].back().type;
      return Join(function, type, std::move(arguments));
    }
    case Rule::kRowNumber:
      return Join(function, Type::kInteger, {});
    case Rule::kPi: {
      Code code = Join(function, Type::kReal, {});
      code.back().real = std::numbers::pi;
      return code;
    }
    case Rule::kToNumber:
    case Rule::kToInteger:
    case Rule::kToText:
      return Convert(node, function, std::move(arguments));
    default:
      return Texts(node, function, std::move(arguments));
  }
}

Compiler::Code Compiler::Numbers(const Node& node, const Function& function,
                                 std::vector<Code> arguments) {
  if (!Want(node, function, arguments, {Type::kReal, Type::kInteger}, "numbers")) return {};
  const bool integers = std::all_of(arguments.begin(), arguments.end(), [](const Code& code) {
    return code.back().type == Type::kInteger;
  });
  if (integers && function.rule == Rule::kRounding) return std::move(arguments[0]);
  Instruction& first = arguments[0].back();
  if (function.op == Op::kNegate && first.op == Op::kConstant && first.integer != INT64_MIN) {
    first.real = -first.real;
    first.integer = -first.integer;
    return std::move(arguments[0]);
  }
  if (integers && function.rule == Rule::kNumbers) {
    return Join(function, Type::kInteger, std::move(arguments));
  }
  for (Code& argument : arguments) ToReal(argument);
  if (function.op == Op::kPower) return Power(function, std::move(arguments));
  return Join(function, Type::kReal, std::move(arguments));
}

// Small exponents are products.
Compiler::Code Compiler::Power(const Function& function, std::vector<Code> arguments) {
  const Instruction exponent = arguments[1].back();
  const bool small = exponent.op == Op::kConstant && exponent.real >= 0 && exponent.real <= 4 &&
                     exponent.real == static_cast<int>(exponent.real);
  if (!small) return Join(function, Type::kReal, std::move(arguments));
  arguments.pop_back();
  Code code = Join(function, Type::kReal, std::move(arguments));
  code.back().op = Op::kSmallPower;
  code.back().integer = static_cast<int64_t>(exponent.real);
  return code;
}

Compiler::Code Compiler::Membership(const Node& node, const Function& function,
                                    std::vector<Code> arguments) {
  if (!Want(node, function, arguments, {Type::kReal, Type::kInteger, Type::kText, Type::kBoolean},
            "values") ||
      !Unify(node, function, arguments)) {
    return {};
  }
  std::vector<Code> value;
  value.push_back(std::move(arguments[0]));
  Code code = Join(function, Type::kBoolean, std::move(value));
  Instruction& out = code.back();
  for (size_t i = 1; i < arguments.size(); ++i) {
    const Instruction& constant = arguments[i].back();
    if (constant.type == Type::kReal) out.reals.push_back(constant.real);
    if (constant.type == Type::kText) out.texts.push_back(constant.text);
    if (constant.type == Type::kInteger || constant.type == Type::kBoolean) {
      out.integers.push_back(constant.integer);
    }
  }
  std::sort(out.reals.begin(), out.reals.end());
  std::sort(out.integers.begin(), out.integers.end());
  std::sort(out.texts.begin(), out.texts.end());
  return code;
}

Compiler::Code Compiler::Convert(const Node& node, const Function& function,
                                 std::vector<Code> arguments) {
  const Type type = arguments[0].back().type;
  const bool to_text = function.rule == Rule::kToText;
  const bool to_number = function.rule == Rule::kToNumber;
  if (!(to_text || to_number
            ? Want(node, function, arguments,
                   {Type::kReal, Type::kInteger, Type::kBoolean, Type::kText}, "values")
            : Want(node, function, arguments, {Type::kReal, Type::kInteger, Type::kBoolean},
                   "numbers (of a text, integer(number(...)))"))) {
    return {};
  }
  if (to_text) {
    if (type == Type::kText) return std::move(arguments[0]);
    // The shortest decimal of a narrow number is shorter.
    const Instruction& value = arguments[0].back();
    const bool narrow =
        value.op == Op::kColumn &&
        schema_[static_cast<size_t>(value.column)].type == data::ColumnType::kFloat32;
    Code code = Join(function, Type::kText, std::move(arguments));
    code.back().integer = narrow ? 1 : 0;
    return code;
  }
  if (type == Type::kInteger || (to_number && type == Type::kReal)) return std::move(arguments[0]);
  Code code = Join(function, to_number && type == Type::kText ? Type::kReal : Type::kInteger,
                   std::move(arguments));
  if (type == Type::kBoolean) code.back().op = Op::kCount;
  return code;
}

Compiler::Code Compiler::Texts(const Node& node, const Function& function,
                               std::vector<Code> arguments) {
  if (function.rule == Rule::kSubstring) {
    std::vector<Code> text;
    text.push_back(arguments[0]);
    if (!Want(node, function, text, {Type::kText}, "a text first") ||
        !Want(node, function, arguments, {Type::kInteger}, "whole numbers behind the text", 1)) {
      return {};
    }
    return Join(function, Type::kText, std::move(arguments));
  }
  if (!Want(node, function, arguments, {Type::kText}, "texts")) return {};
  const Type type = function.rule == Rule::kText     ? Type::kText
                    : function.rule == Rule::kLength ? Type::kInteger
                                                     : Type::kBoolean;
  return Join(function, type, std::move(arguments));
}

}  // namespace beamline::engine::expression
