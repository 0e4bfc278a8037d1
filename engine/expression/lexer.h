// Words and signs of an expression. Internal to its parser.
#pragma once

#include <string>
#include <string_view>

#include "engine/expression/syntax.h"

namespace beamline::engine::expression {

struct Token {
  enum class Kind : uint8_t { kEnd, kReal, kInteger, kText, kName, kQuotedName, kSign };
  Kind kind = Kind::kEnd;
  int column = 1;
  // Of a text what it means; of a sign and a name how it is written.
  std::string text;
  double real = 0;
  int64_t integer = 0;
};

// Thrown by lexer and parser, caught in Parse.
struct SyntaxError {
  Problem problem;
};

// Takes a text apart from its start. Not thread-safe.
class Lexer {
 public:
  // `text` must outlive it and be UTF-8.
  explicit Lexer(std::string_view text) : text_(text) {}
  // The next token, kEnd for good at the end. Throws SyntaxError.
  Token Next();

 private:
  Token Number(Token token);
  Token Text(Token token, char quote);
  Token QuotedName(Token token);
  Token Sign(Token token);
  // Goes on by so many bytes.
  void Skip(size_t bytes);
  std::string_view rest() const { return text_.substr(at_); }

  std::string_view text_;
  size_t at_ = 0;
  int column_ = 1;
};

}  // namespace beamline::engine::expression
