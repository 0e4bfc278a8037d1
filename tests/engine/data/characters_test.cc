#include "engine/data/characters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/data/test_util.h"

namespace beamline::engine::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Table Read(const std::string& text, const CharacterOptions& options = {}) {
  MemorySource source(text);
  return ReadCharacters(source, options);
}

std::string Refusal(const std::string& text) {
  return ErrorOf([&] { Read(text); });
}

TEST(CharactersTest, EachCodePointIsARow) {
  const Table table = Read("b\u00e9b\n\u20ac\U0001F600");
  const Column& column = table.Get("character");
  EXPECT_EQ(column.type(), ColumnType::kCategorical);
  EXPECT_THAT(column.categories(), ElementsAre("\n", "b", "\u00e9", "\u20ac", "\U0001F600"));
  EXPECT_THAT(column.values<int32_t>(), ElementsAre(1, 2, 1, 0, 3, 4));
  EXPECT_EQ(Read("x", {.name = "letter"}).columns()[0].name(), "letter");
}

TEST(CharactersTest, TextLongerThanAPiece) {
  std::string text(3 << 20, 'a');
  for (size_t i = 1; i + 2 < text.size(); i += 1000) text.replace(i, 3, "\u20ac");
  const Table table = Read(text);
  EXPECT_EQ(table.rows(), static_cast<int64_t>(text.size()) - 2 * ((3 << 20) / 1000 + 1));
  EXPECT_THAT(table.Get("character").categories(), ElementsAre("a", "\u20ac"));
}

TEST(CharactersTest, RefusesWhatIsNotUtf8) {
  EXPECT_THAT(Refusal(""), HasSubstr("the text is empty"));
  EXPECT_THAT(Refusal("ab\xFF"), HasSubstr("byte 2 is not UTF-8 (no character begins so)"));
  EXPECT_THAT(Refusal("\xC0\x80"), HasSubstr("byte 0"));  // a longer form than need be
  EXPECT_THAT(Refusal("\xE0\x80\x80"), HasSubstr("byte 1"));
  EXPECT_THAT(Refusal("\xF0\x8F\xBF\xBF"), HasSubstr("byte 1"));
  EXPECT_THAT(Refusal("\xED\xA0\x80"), HasSubstr("byte 1 is not UTF-8 (no character goes on so)"));
  EXPECT_THAT(Refusal("\xF4\x90\x80\x80"), HasSubstr("byte 1"));  // beyond U+10FFFF
  EXPECT_THAT(Refusal("a\xE2\x82"), HasSubstr("byte 3 is not UTF-8 (the text ends within"));
  EXPECT_THAT(Refusal("\xE2\x82z"), HasSubstr("byte 2"));
}

TEST(ColumnTest, TakesRows) {
  const Column words = Column::OfStrings("w", {"a", "", "c"});
  const Column taken = words.Take(std::vector<int64_t>{2, 1, 2});
  EXPECT_EQ(taken.rows(), 3);
  EXPECT_EQ(taken.Text(0), "c");
  EXPECT_TRUE(taken.IsMissing(1));
  const Column pairs = Column::Of("p", std::vector<double>{1, 2, 3, 4, 5, 6}, {2});
  EXPECT_EQ(pairs.Take(std::vector<int64_t>{1}).Number(0, 1), 4);
}

}  // namespace
}  // namespace beamline::engine::data
