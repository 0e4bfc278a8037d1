// What is no expression, and what the messages say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/expression/program.h"

namespace beamline::engine::expression {
namespace {

using ::testing::HasSubstr;

const std::vector<ColumnInfo> kSchema = {
    {"pt", data::ColumnType::kFloat32},       {"eta", data::ColumnType::kFloat64},
    {"n", data::ColumnType::kInt32},          {"kind", data::ColumnType::kCategorical},
    {"good", data::ColumnType::kBool},        {"image", data::ColumnType::kUint8, false},
    {"odd name`s", data::ColumnType::kInt64}, {"in", data::ColumnType::kFloat64},
};

std::string Problems(const std::string& text) {
  return FormatProblems(Compile(text, kSchema).problems);
}
data::ColumnType TypeOf(const std::string& text) {
  const Compiled compiled = Compile(text, kSchema);
  EXPECT_EQ(FormatProblems(compiled.problems), "") << text;
  return compiled.problems.empty() ? ResultType(compiled.program, kSchema)
                                   : data::ColumnType::kBool;
}

struct Wrong {
  const char* text;
  const char* problems;
};

TEST(Compile, SaysWhatIsWrongAndWhere) {
  const Wrong cases[] = {
      {"", "column 1: there should be a value here, not the end"},
      {"pt >", "column 5: there should be a value here, not the end"},
      {"pt > 25 and abs(etaa) < 2.4",
       "column 17: there is no column \"etaa\" (did you mean \"eta\"?)"},
      {"sqr(pt)", "column 1: there is no function \"sqr\" (did you mean \"sqrt\"?)"},
      {"sqr(ptt) + etaaa",
       "column 1: there is no function \"sqr\" (did you mean \"sqrt\"?)\n"
       "column 5: there is no column \"ptt\" (did you mean \"pt\"?)\n"
       "column 12: there is no column \"etaaa\" (did you mean \"eta\"?)"},
      {"(pt", "column 4: there should be \")\" to close the parenthesis, not the end"},
      {"pt eta", "column 4: there should be an operator or the end before \"eta\""},
      {"0 < pt < 3", "column 8: comparisons are not chained: write \"a < b and b < c\""},
      {"pt = 3", "column 4: \"=\" is no operator: write \"==\""},
      {"pt ** 2", "column 4: \"**\" is no operator: write \"^\" for a power"},
      {"good && good", "column 6: \"&&\" is no operator: write \"and\""},
      {"pt $ 2", "column 4: \"$\" means nothing here"},
      {"2pt",
       "column 1: a number and a name stand side by side: put an operator between them, or "
       "the name in backquotes"},
      {"kind == \"muon", "column 9: the text has no closing quote"},
      {"kind == ''",
       "column 9: an empty text is a missing value: write missing, or ask "
       "is_missing(...)"},
      {"`pt", "column 1: the name has no closing backquote"},
      {"in > 2",
       "column 1: there should be a value here, not \"in\": a column of that name is "
       "written in backquotes"},
      {"kind + 1", "column 1: \"+\" takes numbers, but this is a text"},
      {"-good", "column 2: the sign \"-\" takes numbers, but this is true or false"},
      {"pt and good", "column 1: \"and\" takes true or false, but this is a number"},
      {"kind == 3",
       "column 9: \"==\" takes values of one type, but this is a whole number and the "
       "one before it a text"},
      {"good < true", "column 1: \"<\" takes numbers or texts, but this is true or false"},
      {"kind in (pt)",
       "column 10: the list of \"in\" holds numbers, texts, true and false only: "
       "compare with == and or"},
      {"atan2(pt)", "column 1: atan2 takes 2 arguments, not 1: atan2(y, x)"},
      {"sqrt()", "column 1: sqrt takes 1 argument, not 0: sqrt(x)"},
      {"min(pt)", "column 1: min takes 2 or more arguments, not 1: min(a, b, ...)"},
      {"if(pt, 1, 2)", "column 4: if(...) takes true or false first, but this is a number"},
      {"missing", "column 1: missing alone has no type: write it as an argument of if or coalesce"},
      {"pt == missing", "column 7: \"==\" takes values, but this is missing: ask is_missing(...)"},
      {"if(good, missing, missing)", "column 1: if(...) takes a value beside missing"},
      {"image > 3",
       "column 1: column \"image\" holds several numbers a row: expressions are of "
       "single values"},
      {"substring(kind, 1.5)",
       "column 17: substring(...) takes whole numbers behind the text, but this is a number"},
      {"ä + 1", "column 1: there is no column \"\\xC3\\xA4\""},
      {"'ä' + 1", "column 1: \"+\" takes numbers, but this is a text"},
  };
  for (const Wrong& wrong : cases) {
    const std::string problems = Problems(wrong.text);
    if (std::string(wrong.text) == "ä + 1") {
      EXPECT_THAT(problems, HasSubstr("column 1: there is no column"));
      continue;
    }
    EXPECT_EQ(problems, wrong.problems) << wrong.text;
  }
}

TEST(Compile, KnowsTypes) {
  EXPECT_EQ(TypeOf("pt"), data::ColumnType::kFloat32);
  EXPECT_EQ(TypeOf("pt * 1"), data::ColumnType::kFloat64);
  EXPECT_EQ(TypeOf("n"), data::ColumnType::kInt32);
  EXPECT_EQ(TypeOf("n + 1"), data::ColumnType::kInt64);
  EXPECT_EQ(TypeOf("n / 1"), data::ColumnType::kFloat64);
  EXPECT_EQ(TypeOf("n ^ 2"), data::ColumnType::kFloat64);
  EXPECT_EQ(TypeOf("floor(n)"), data::ColumnType::kInt32);
  EXPECT_EQ(TypeOf("n > 1"), data::ColumnType::kBool);
  EXPECT_EQ(TypeOf("if(good, missing, kind)"), data::ColumnType::kCategorical);
  EXPECT_EQ(TypeOf("if(good, n, pt)"), data::ColumnType::kFloat64);
  EXPECT_EQ(TypeOf("`odd name``s` + `in`"), data::ColumnType::kFloat64);
  EXPECT_EQ(TypeOf("text(n)"), data::ColumnType::kCategorical);
}

TEST(Compile, BoundsLengthAndDepth) {
  EXPECT_THAT(Problems(std::string(5000, ' ') + "1"), HasSubstr("at most 4096 are possible"));
  const std::string deep(101, '(');
  EXPECT_THAT(Problems(deep + "1" + std::string(101, ')')), HasSubstr("nested more than 100"));
  const std::string just(99, '(');
  EXPECT_EQ(Problems(just + "1" + std::string(99, ')')), "");
  EXPECT_THAT(Problems(std::string(500, '-') + "1"), HasSubstr("nested more than 100"));
  std::string chain = "pt";
  while (chain.size() + 3 < kMaxTextBytes) chain += "+pt";
  EXPECT_EQ(Problems(chain), "");
  EXPECT_THAT(Problems("pt > \xFF"), HasSubstr("is not UTF-8"));
}

}  // namespace
}  // namespace beamline::engine::expression
