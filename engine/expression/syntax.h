// The text of an expression over the columns of a table, and the tree that it stands for.
// docs/prepare.md has the language.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::engine::expression {

// What is wrong with an expression, and where. `column`: of the text, in characters from 1.
struct Problem {
  int column = 1;
  std::string message;
};
// "column 7: there is no ..."; several in the order of the text, one line each.
std::string FormatProblems(const std::vector<Problem>& problems);

// Part of an expression. A plain value type.
struct Node {
  enum class Kind : uint8_t {
    kColumn,   // text: its name
    kReal,     // real
    kInteger,  // integer
    kText,     // text
    kBoolean,  // integer: 0 or 1
    kMissing,  // the word missing
    kCall,     // text: name of a function, or of an operator: "+", "negate", "and", "in", ...
  };
  Kind kind = Kind::kMissing;
  int column = 1;  // where it stands in the text
  std::string text;
  double real = 0;
  int64_t integer = 0;
  std::vector<Node> arguments;
};

struct Syntax {
  Node root;
  // At most one: what follows it cannot be understood.
  std::vector<Problem> problems;
};

inline constexpr size_t kMaxTextBytes = 4096;
// Parentheses and calls inside each other.
inline constexpr int kMaxDepth = 100;

// Reads any bytes; never throws but std::bad_alloc. Thread-safe.
Syntax Parse(std::string_view text);

}  // namespace beamline::engine::expression
