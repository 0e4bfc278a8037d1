// From the tree of an expression to its program. Internal to compile*.cc.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/expression/functions.h"
#include "engine/expression/program.h"

namespace beamline::engine::expression {

// Compiles a tree bottom-up. What is wrong is noted once, and what depends on it is left alone.
class Compiler {
 public:
  explicit Compiler(const std::vector<ColumnInfo>& schema) : schema_(schema) {}

  Compiled Run(const Node& root);

 private:
  // Instructions of a part of the expression, with places from 0; empty if something is wrong.
  using Code = std::vector<Instruction>;

  void Note(const Node& node, std::string message) {
    problems_.push_back({node.column, std::move(message)});
  }
  static bool IsUntyped(const Code& code) {
    return !code.empty() && code.back().op == Op::kMissing && code.back().integer == 0;
  }

  Code Emit(const Node& node);

  Code Column(const Node& node);

  Code Call(const Node& node);

  // Whether all arguments from `first` on are of one of these types; notes the first that is not.
  bool Want(const Node& node, const Function& function, const std::vector<Code>& arguments,
            std::initializer_list<Type> types, std::string_view wanted, size_t first = 0);

  static void ToReal(Code& code);

  // One type for all arguments from `first` on: missing takes that of the others, and integers
  // become real beside a real.
  bool Unify(const Node& node, const Function& function, std::vector<Code>& arguments,
             size_t first = 0);

  // The arguments one behind the other, and the instruction that takes them.
  static Code Join(const Function& function, Type type, std::vector<Code> arguments);

  Code Apply(const Node& node, const Function& function, std::vector<Code> arguments);
  Code Numbers(const Node& node, const Function& function, std::vector<Code> arguments);
  Code Power(const Function& function, std::vector<Code> arguments);
  Code Membership(const Node& node, const Function& function, std::vector<Code> arguments);
  Code Convert(const Node& node, const Function& function, std::vector<Code> arguments);
  Code Texts(const Node& node, const Function& function, std::vector<Code> arguments);

  const std::vector<ColumnInfo>& schema_;
  std::vector<Problem> problems_;
};

}  // namespace beamline::engine::expression
