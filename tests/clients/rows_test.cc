#include "clients/cli/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "clients/cli/exit_code.h"

namespace beamline::cli {
namespace {

using ::testing::HasSubstr;

TEST(ParseRows, ReadsJsonLines) {
  const auto rows = ParseRows("\n{\"x\": 1.5, \"c\": \"b\"}\n\n{\"x\": null}\n", "f");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_DOUBLE_EQ((*rows)[0].fields().at("x").number_value(), 1.5);
  EXPECT_EQ((*rows)[0].fields().at("c").string_value(), "b");
  EXPECT_TRUE((*rows)[1].fields().at("x").has_null_value());
}

TEST(ParseRows, ReadsCsv) {
  const auto rows = ParseRows("x,\"the, name\",y\r\n1e3,\"a \"\"b\"\"\nc\",\r\n-2,d,0.5", "f");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_DOUBLE_EQ((*rows)[0].fields().at("x").number_value(), 1000);
  EXPECT_EQ((*rows)[0].fields().at("the, name").string_value(), "a \"b\"\nc");
  EXPECT_TRUE((*rows)[0].fields().at("y").has_null_value());
  EXPECT_DOUBLE_EQ((*rows)[1].fields().at("y").number_value(), 0.5);
}

TEST(ParseRows, NamesTheLine) {
  const auto ragged = ParseRows("a,b\n1,2\n\"x\ny\",2\n3\n", "rows.csv");
  EXPECT_EQ(ExitCodeOf(ragged.status()), ExitCode::kUsage);
  EXPECT_THAT(std::string(ragged.status().message()),
              HasSubstr("rows.csv:5: the row has 1 cells, the header 2"));
  EXPECT_THAT(std::string(ParseRows("a\n\"b", "f").status().message()),
              HasSubstr("f:2: the quote is never closed"));
  EXPECT_THAT(std::string(ParseRows("a\n\"b\"c\n", "f").status().message()),
              HasSubstr("f:2: text follows a closing quote"));
  EXPECT_THAT(std::string(ParseRows("{\"a\": 1}\n{\"a\": }\n", "f").status().message()),
              HasSubstr("f:2: not a JSON object"));
  EXPECT_THAT(std::string(ParseRows(" \n", "f").status().message()), HasSubstr("no rows"));
}

TEST(ParseRow, RefusesWhatIsNoObject) {
  EXPECT_FALSE(ParseRow("[1]", "--row").ok());
  EXPECT_FALSE(ParseRow("", "--row").ok());
  EXPECT_TRUE(ParseRow("{}", "--row").ok());
}

}  // namespace
}  // namespace beamline::cli
