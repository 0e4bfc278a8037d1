#include <algorithm>
#include <utility>

#include "engine/data/text.h"
#include "engine/expression/compiler.h"

namespace beamline::engine::expression {
namespace {

using data::Cat;
using data::ColumnType;
using data::Quoted;

Type TypeOf(ColumnType type) {
  switch (type) {
    case ColumnType::kFloat32:
    case ColumnType::kFloat64:
      return Type::kReal;
    case ColumnType::kBool:
      return Type::kBoolean;
    case ColumnType::kCategorical:
      return Type::kText;
    default:
      return Type::kInteger;
  }
}

}  // namespace

Compiled Compiler::Run(const Node& root) {
  std::vector<Instruction> code = Emit(root);
  if (problems_.empty() && IsUntyped(code)) {
    Note(root, "missing alone has no type: write it as an argument of if or coalesce");
  }
  Compiled out;
  out.problems = std::move(problems_);
  std::stable_sort(out.problems.begin(), out.problems.end(),
                   [](const Problem& a, const Problem& b) { return a.column < b.column; });
  if (!out.problems.empty()) return out;
  out.program.code = std::move(code);
  for (const ColumnInfo& column : schema_) out.program.columns.push_back(column.name);
  return out;
}
Compiler::Code Compiler::Emit(const Node& node) {
  Instruction out;
  out.op = Op::kConstant;
  switch (node.kind) {
    case Node::Kind::kColumn:
      return Column(node);
    case Node::Kind::kReal:
      out.real = node.real;
      break;
    case Node::Kind::kInteger:
      out.type = Type::kInteger;
      out.integer = node.integer;
      break;
    case Node::Kind::kText:
      out.type = Type::kText;
      out.text = node.text;
      break;
    case Node::Kind::kBoolean:
      out.type = Type::kBoolean;
      out.integer = node.integer;
      break;
    case Node::Kind::kMissing:
      out.op = Op::kMissing;
      break;
    case Node::Kind::kCall:
      return Call(node);
  }
  Code code;
  code.push_back(std::move(out));
  return code;
}
Compiler::Code Compiler::Column(const Node& node) {
  const auto found = std::find_if(schema_.begin(), schema_.end(),
                                  [&](const ColumnInfo& each) { return each.name == node.text; });
  if (found == schema_.end()) {
    std::vector<std::string> names;
    for (const ColumnInfo& each : schema_) names.push_back(each.name);
    const std::string_view nearest = data::Nearest(node.text, names);
    Note(node, Cat("there is no column ", Quoted(node.text),
                   nearest.empty() ? "" : Cat(" (did you mean ", Quoted(nearest), "?)")));
    return {};
  }
  if (!found->plain) {
    Note(node, Cat("column ", Quoted(node.text),
                   " holds several numbers a row: expressions are of single values"));
    return {};
  }
  Instruction out;
  out.op = Op::kColumn;
  out.type = TypeOf(found->type);
  out.column = static_cast<int>(found - schema_.begin());
  Code code;
  code.push_back(std::move(out));
  return code;
}
Compiler::Code Compiler::Call(const Node& node) {
  const Function* const function = FindFunction(node.text);
  if (function == nullptr) {
    const std::vector<std::string> names = FunctionNames();
    const std::string_view nearest = data::Nearest(node.text, names);
    Note(node, Cat("there is no function ", Quoted(node.text),
                   nearest.empty() ? "" : Cat(" (did you mean ", Quoted(nearest), "?)")));
  }
  std::vector<Code> arguments;
  bool good = function != nullptr;
  for (const Node& argument : node.arguments) {
    arguments.push_back(Emit(argument));
    good = good && !arguments.back().empty();
  }
  if (!good) return {};
  const auto count = static_cast<int>(arguments.size());
  if (count < function->least || count > function->most) {
    Note(node, Cat(function->name, " takes ",
                   function->most == function->least ? Cat(function->least)
                   : count < function->least         ? Cat(function->least, " or more")
                                                     : Cat("at most ", function->most),
                   function->least == 1 && function->most == 1 ? " argument" : " arguments",
                   ", not ", count, ": ", function->usage));
    return {};
  }
  return Apply(node, *function, std::move(arguments));
}
std::string_view Describe(Type type) {
  switch (type) {
    case Type::kReal:
      return "a number";
    case Type::kInteger:
      return "a whole number";
    case Type::kBoolean:
      return "true or false";
    case Type::kText:
      return "a text";
  }
  return "";
}

Compiled Compile(const Node& root, const std::vector<ColumnInfo>& schema) {
  return Compiler(schema).Run(root);
}

Compiled Compile(std::string_view text, const std::vector<ColumnInfo>& schema) {
  Syntax syntax = Parse(text);
  if (syntax.problems.empty()) return Compile(syntax.root, schema);
  Compiled out;
  out.problems = std::move(syntax.problems);
  return out;
}

ColumnType ColumnTypeOf(Type type) {
  switch (type) {
    case Type::kReal:
      return ColumnType::kFloat64;
    case Type::kInteger:
      return ColumnType::kInt64;
    case Type::kBoolean:
      return ColumnType::kBool;
    case Type::kText:
      return ColumnType::kCategorical;
  }
  return ColumnType::kFloat64;
}

ColumnType ResultType(const Program& program, const std::vector<ColumnInfo>& schema) {
  const Instruction& last = program.code.back();
  return last.op == Op::kColumn ? schema[static_cast<size_t>(last.column)].type
                                : ColumnTypeOf(last.type);
}

}  // namespace beamline::engine::expression
