#include "engine/expression/syntax.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/data/text.h"
#include "engine/expression/lexer.h"

namespace beamline::engine::expression {
namespace {

using data::Cat;
using data::Quoted;

constexpr std::array<std::string_view, 6> kComparisons = {"==", "!=", "<", "<=", ">", ">="};

// Words that are no names of columns, unless in backquotes.
constexpr std::array<std::string_view, 7> kWords = {"and",  "or",    "not",    "in",
                                                    "true", "false", "missing"};

bool IsWord(std::string_view name) {
  return std::find(kWords.begin(), kWords.end(), name) != kWords.end();
}

Node Call(std::string name, int column, std::vector<Node> arguments) {
  Node node;
  node.kind = Node::Kind::kCall;
  node.column = column;
  node.text = std::move(name);
  node.arguments = std::move(arguments);
  return node;
}

Node Pair(std::string name, int column, Node a, Node b) {
  std::vector<Node> both;
  both.push_back(std::move(a));
  both.push_back(std::move(b));
  return Call(std::move(name), column, std::move(both));
}

// Recursive descent; from what binds least to what binds most: or, and, not, comparisons and in,
// + and -, * / and %, the sign, ^ (from the right).
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text), token_(lexer_.Next()) {}

  Node All() {
    Node node = Or();
    if (token_.kind != Token::Kind::kEnd) {
      Fail(Cat("there should be an operator or the end before ", Shown()));
    }
    return node;
  }

 private:
  [[noreturn]] void Fail(std::string message) const {
    throw SyntaxError{{token_.column, std::move(message)}};
  }
  std::string Shown() const {
    switch (token_.kind) {
      case Token::Kind::kEnd:
        return "the end";
      case Token::Kind::kReal:
      case Token::Kind::kInteger:
        return "the number";
      case Token::Kind::kText:
        return Cat("the text ", Quoted(token_.text));
      default:
        return Quoted(token_.text);
    }
  }
  bool IsSign(std::string_view sign) const {
    return token_.kind == Token::Kind::kSign && token_.text == sign;
  }
  bool IsNamed(std::string_view word) const {
    return token_.kind == Token::Kind::kName && token_.text == word;
  }
  Token Take() { return std::exchange(token_, lexer_.Next()); }
  void Expect(std::string_view sign, std::string_view where) {
    if (!IsSign(sign)) Fail(Cat("there should be \"", sign, "\" ", where, ", not ", Shown()));
    Take();
  }
  // How deep the place is; longer chains of one operator are not deeper.
  void Deeper() {
    if (++depth_ > kMaxDepth) Fail(Cat("is nested more than ", kMaxDepth, " levels deep"));
  }

  Node Or() {
    Deeper();
    Node node = And();
    while (IsNamed("or")) {
      const int column = Take().column;
      node = Pair("or", column, std::move(node), And());
    }
    --depth_;
    return node;
  }

  Node And() {
    Node node = Not();
    while (IsNamed("and")) {
      const int column = Take().column;
      node = Pair("and", column, std::move(node), Not());
    }
    return node;
  }

  Node Not() {
    if (!IsNamed("not")) return Comparison();
    const int column = Take().column;
    Deeper();
    Node node = Call("not", column, {Not()});
    --depth_;
    return node;
  }

  bool IsComparison() const {
    return token_.kind == Token::Kind::kSign &&
           std::find(kComparisons.begin(), kComparisons.end(), token_.text) != kComparisons.end();
  }

  Node Comparison() {
    Node node = Sum();
    if (IsNamed("in") || IsNamed("not")) return In(std::move(node));
    if (!IsComparison()) return node;
    const Token sign = Take();
    node = Pair(sign.text, sign.column, std::move(node), Sum());
    if (IsComparison()) Fail("comparisons are not chained: write \"a < b and b < c\"");
    return node;
  }

  Node In(Node value) {
    const int column = token_.column;
    const bool negated = IsNamed("not");
    if (negated) Take();
    if (!IsNamed("in")) Fail(Cat("there should be \"in\" after \"not\" here, not ", Shown()));
    Take();
    Expect("(", "after \"in\"");
    std::vector<Node> arguments;
    arguments.push_back(std::move(value));
    do {
      arguments.push_back(Constant());
    } while (TakeComma());
    Expect(")", "at the end of the list");
    Node node = Call("in", column, std::move(arguments));
    return negated ? Call("not", column, {std::move(node)}) : node;
  }

  bool TakeComma() {
    if (!IsSign(",")) return false;
    Take();
    return true;
  }

  Node Constant() {
    const bool negative = IsSign("-");
    if (negative) Take();
    Node node = Primary();
    const bool number = node.kind == Node::Kind::kReal || node.kind == Node::Kind::kInteger;
    const bool other = node.kind == Node::Kind::kText || node.kind == Node::Kind::kBoolean;
    if (!number && (negative || !other)) {
      throw SyntaxError{{node.column,
                         "the list of \"in\" holds numbers, texts, true and false only: "
                         "compare with == and or"}};
    }
    if (negative) {
      node.real = -node.real;
      node.integer = -node.integer;
    }
    return node;
  }

  Node Sum() {
    Node node = Product();
    while (IsSign("+") || IsSign("-")) {
      const Token sign = Take();
      node = Pair(sign.text, sign.column, std::move(node), Product());
    }
    return node;
  }

  Node Product() {
    Node node = Signed();
    while (IsSign("*") || IsSign("/") || IsSign("%")) {
      const Token sign = Take();
      node = Pair(sign.text, sign.column, std::move(node), Signed());
    }
    return node;
  }

  Node Signed() {
    if (!IsSign("-") && !IsSign("+")) return Power();
    const Token sign = Take();
    Deeper();
    Node node = Signed();
    --depth_;
    if (sign.text == "+") return node;
    return Call("negate", sign.column, {std::move(node)});
  }

  // -x ^ 2 is -(x ^ 2); x ^ -2 is possible.
  Node Power() {
    Node node = Primary();
    if (!IsSign("^")) return node;
    const int column = Take().column;
    Deeper();
    node = Pair("^", column, std::move(node), Signed());
    --depth_;
    return node;
  }

  Node Primary() {
    Node node;
    node.column = token_.column;
    switch (token_.kind) {
      case Token::Kind::kReal:
      case Token::Kind::kInteger: {
        const Token token = Take();
        node.kind = token.kind == Token::Kind::kReal ? Node::Kind::kReal : Node::Kind::kInteger;
        node.real =
            token.kind == Token::Kind::kReal ? token.real : static_cast<double>(token.integer);
        node.integer = token.integer;
        return node;
      }
      case Token::Kind::kText:
        node.kind = Node::Kind::kText;
        node.text = Take().text;
        return node;
      case Token::Kind::kQuotedName:
        node.kind = Node::Kind::kColumn;
        node.text = Take().text;
        return node;
      case Token::Kind::kName:
        return Named();
      default:
        break;
    }
    if (!IsSign("(")) Fail(Cat("there should be a value here, not ", Shown()));
    Take();
    node = Or();
    Expect(")", "to close the parenthesis");
    return node;
  }

  Node Named() {
    if (IsWord(token_.text) && !IsNamed("true") && !IsNamed("false") && !IsNamed("missing")) {
      Fail(Cat("there should be a value here, not ", Shown(),
               ": a column of that name is written in backquotes"));
    }
    Node node;
    node.column = token_.column;
    node.text = Take().text;
    if (IsSign("(") && !IsWord(node.text)) {
      Take();
      node.kind = Node::Kind::kCall;
      if (!IsSign(")")) {
        do {
          node.arguments.push_back(Or());
        } while (TakeComma());
      }
      Expect(")", Cat("to close the call of ", node.text));
      return node;
    }
    node.kind = Node::Kind::kColumn;
    if (IsWord(node.text)) {
      node.kind = node.text == "missing" ? Node::Kind::kMissing : Node::Kind::kBoolean;
      node.integer = node.text == "true" ? 1 : 0;
    }
    return node;
  }

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
};

}  // namespace

std::string FormatProblems(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) {
    text += Cat(text.empty() ? "" : "\n", "column ", problem.column, ": ", problem.message);
  }
  return text;
}

Syntax Parse(std::string_view text) {
  Syntax syntax;
  try {
    if (text.size() > kMaxTextBytes) {
      throw SyntaxError{{1, Cat("the expression has ", text.size(), " bytes: at most ",
                                kMaxTextBytes, " are possible; derive it in several steps")}};
    }
    if (!data::IsValidUtf8(text)) throw SyntaxError{{1, "the expression is not UTF-8"}};
    syntax.root = Parser(text).All();
  } catch (const SyntaxError& error) {
    syntax.problems.push_back(error.problem);
  }
  return syntax;
}

}  // namespace beamline::engine::expression
