#include "engine/expression/lexer.h"

#include "engine/data/number.h"
#include "engine/data/text.h"

namespace beamline::engine::expression {
namespace {

using data::Cat;
using data::Quoted;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
// Letters beyond ASCII are letters.
bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Signs of other languages, and what is written here.
struct Foreign {
  std::string_view sign;
  std::string_view ours;
};
constexpr Foreign kForeign[] = {
    {"&&", "\"and\""}, {"||", "\"or\""}, {"**", "\"^\" for a power"},
    {"<>", "\"!=\""},  {"=", "\"==\""},  {"!", "\"not\""},
    {"&", "\"and\""},  {"|", "\"or\""},  {"~", "\"not\""},
};
constexpr std::string_view kSigns[] = {"==", "!=", "<=", ">=", "<", ">", "+", "-",
                                       "*",  "/",  "%",  "^",  "(", ")", ","};

}  // namespace

void Lexer::Skip(size_t bytes) {
  for (; bytes > 0; --bytes, ++at_) {
    if ((static_cast<unsigned char>(text_[at_]) & 0xC0) != 0x80) ++column_;
  }
}

Token Lexer::Next() {
  while (!rest().empty() && IsBlank(rest().front())) Skip(1);
  Token token;
  token.column = column_;
  if (rest().empty()) return token;
  const char first = rest().front();
  const bool fraction = first == '.' && rest().size() > 1 && IsDigit(rest()[1]);
  if (IsDigit(first) || fraction) return Number(std::move(token));
  if (first == '"' || first == '\'') return Text(std::move(token), first);
  if (first == '`') return QuotedName(std::move(token));
  if (!IsLetter(first)) return Sign(std::move(token));
  size_t size = 1;
  while (size < rest().size() && (IsLetter(rest()[size]) || IsDigit(rest()[size]))) ++size;
  token.kind = Token::Kind::kName;
  token.text = rest().substr(0, size);
  Skip(size);
  return token;
}

Token Lexer::Number(Token token) {
  // The scanner wants a digit before the point.
  const std::string padded = rest().front() == '.' ? Cat("0", rest()) : std::string(rest());
  const auto number = data::ScanNumber(padded.data(), padded.data() + padded.size());
  if (number.kind == data::ScannedNumber::Kind::kNone) {
    throw SyntaxError{{token.column, "this is no number"}};
  }
  const auto size =
      static_cast<size_t>(number.end - padded.data()) - (padded.size() - rest().size());
  if (size < rest().size() && IsLetter(rest()[size])) {
    throw SyntaxError{{token.column, Cat("a number and a name stand side by side: put an operator "
                                         "between them, or the name in backquotes")}};
  }
  token.kind = number.kind == data::ScannedNumber::Kind::kInteger ? Token::Kind::kInteger
                                                                  : Token::Kind::kReal;
  token.integer = number.integer;
  token.real = number.value;
  Skip(size);
  return token;
}

Token Lexer::Text(Token token, char quote) {
  token.kind = Token::Kind::kText;
  size_t size = 1;
  for (; size < rest().size() && rest()[size] != quote; ++size) {
    char c = rest()[size];
    if (c == '\\') {
      if (++size == rest().size()) break;
      c = rest()[size] == 'n' ? '\n' : rest()[size] == 't' ? '\t' : rest()[size];
    }
    token.text += c;
  }
  if (size >= rest().size()) throw SyntaxError{{token.column, "the text has no closing quote"}};
  if (token.text.empty()) {
    throw SyntaxError{{token.column,
                       "an empty text is a missing value: write missing, or ask "
                       "is_missing(...)"}};
  }
  Skip(size + 1);
  return token;
}

Token Lexer::QuotedName(Token token) {
  token.kind = Token::Kind::kQuotedName;
  size_t size = 1;
  // A backquote within a name is doubled.
  for (; size < rest().size(); ++size) {
    if (rest()[size] == '`' && (size + 1 == rest().size() || rest()[size + 1] != '`')) break;
    if (rest()[size] == '`') ++size;
    token.text += rest()[size];
  }
  if (size >= rest().size()) {
    throw SyntaxError{{token.column, "the name has no closing backquote"}};
  }
  Skip(size + 1);
  return token;
}

Token Lexer::Sign(Token token) {
  token.kind = Token::Kind::kSign;
  for (const std::string_view sign : kSigns) {
    const bool power = sign == "*" && rest().starts_with("**");
    const bool unequal = sign == "<" && rest().starts_with("<>");
    if (!rest().starts_with(sign) || power || unequal) continue;
    token.text = sign;
    Skip(sign.size());
    return token;
  }
  for (const Foreign& foreign : kForeign) {
    if (!rest().starts_with(foreign.sign)) continue;
    throw SyntaxError{
        {token.column, Cat("\"", foreign.sign, "\" is no operator: write ", foreign.ours)}};
  }
  throw SyntaxError{{token.column, Cat(Quoted(rest().substr(0, 1)), " means nothing here")}};
}

}  // namespace beamline::engine::expression
