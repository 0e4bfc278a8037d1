// Functions and operators of expressions. Internal to the compiler.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/expression/program.h"

namespace beamline::engine::expression {

// What a function takes and gives.
enum class Rule : uint8_t {
  kNumbers,     // numbers -> integer if all are, else real
  kReals,       // numbers -> real
  kRounding,    // a number -> real; an integer stays
  kOrder,       // two numbers, or two texts -> boolean
  kEquality,    // the same, or two booleans
  kLogic,       // booleans -> boolean
  kMembership,  // a value and constants of its type -> boolean
  kAny,         // anything -> boolean
  kChoice,      // boolean, and two of the same type -> that
  kSame,        // all of the same type -> that
  kRowNumber,   // nothing -> integer
  kPi,          // nothing -> real
  kToNumber,    // text, boolean or number -> number
  kToInteger,   // number or boolean -> integer
  kToText,      // anything -> text
  kText,        // text -> text
  kLength,      // text -> integer
  kMatch,       // two texts -> boolean
  kSubstring,   // text and two integers -> text
};

struct Function {
  std::string_view name;
  Rule rule;
  Op op;
  int least;  // arguments
  int most;
  // As the docs write it: "atan2(y, x)". Empty for an operator.
  std::string_view usage;
  // The arguments are taken in the reverse order: a > b is b < a.
  bool reversed = false;
};

// Null if there is none.
const Function* FindFunction(std::string_view name);
// Those that are called by their names, in alphabetical order.
std::vector<std::string> FunctionNames();

}  // namespace beamline::engine::expression
