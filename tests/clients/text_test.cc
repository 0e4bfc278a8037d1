#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "clients/cli/exit_code.h"
#include "clients/cli/format.h"
#include "clients/cli/progress.h"
#include "clients/cli/roc_plot.h"
#include "clients/cli/table.h"
#include "clients/cli/terminal.h"

namespace beamline::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Format, Bytes) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.50 KiB");
  EXPECT_EQ(HumanBytes(int64_t{64} << 20), "64.0 MiB");
  EXPECT_EQ(HumanBytes((int64_t{1} << 30) - 1), "1.00 GiB");
  EXPECT_EQ(HumanBytes(INT64_MAX), "8.00 EiB");
}

TEST(Format, Counts) {
  EXPECT_EQ(HumanCount(999), "999");
  EXPECT_EQ(HumanCount(1000), "1.00 k");
  EXPECT_EQ(HumanCount(123456), "123 k");
  EXPECT_EQ(HumanCount(1.234e6), "1.23 M");
}

TEST(Format, Durations) {
  EXPECT_EQ(HumanDuration(absl::Milliseconds(420)), "0.4 s");
  EXPECT_EQ(HumanDuration(absl::Seconds(59.4)), "59 s");
  EXPECT_EQ(HumanDuration(absl::Seconds(59.6)), "1 min 0 s");
  EXPECT_EQ(HumanDuration(absl::Seconds(200)), "3 min 20 s");
  EXPECT_EQ(HumanDuration(absl::Minutes(125)), "2 h 5 min");
  EXPECT_EQ(HumanDuration(absl::Hours(76)), "3 d 4 h");
  EXPECT_EQ(HumanDuration(-absl::Seconds(1)), "0.0 s");
}

TEST(Format, RelativeTimes) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  EXPECT_EQ(RelativeTime(now - absl::Seconds(1), now), "just now");
  EXPECT_EQ(RelativeTime(now - absl::Minutes(3), now), "3 min ago");
  EXPECT_EQ(RelativeTime(now - absl::Hours(24 * 5), now), "5 d ago");
  EXPECT_EQ(RelativeTime(now + absl::Hours(3), now), "in 3 h");
  EXPECT_EQ(RelativeTime(absl::Time(), now), "-");
}

TEST(Format, Expiry) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  EXPECT_EQ(ParseExpiry("90s", now).value(), now + absl::Seconds(90));
  EXPECT_EQ(ParseExpiry("30d", now).value(), now + absl::Hours(24 * 30));
  EXPECT_EQ(ParseExpiry("2023-11-14T22:13:20Z", now).value(), now);
  for (const char* bad : {"", "d", "5", "-1d", "5w", "soon", "99999999999999d"}) {
    EXPECT_EQ(ExitCodeOf(ParseExpiry(bad, now).status()), ExitCode::kUsage) << bad;
  }
}

TEST(Format, NamesAndControlCharacters) {
  EXPECT_EQ(LastPart("projects/p/runs/r-1"), "r-1");
  EXPECT_EQ(LastPart("plain"), "plain");
  EXPECT_EQ(Printable("a\x1b[31mb\n"), "a?[31mb?");
  EXPECT_EQ(Printable("a\xC2\x9B"
                      "31mb\xC2\x80\xC2"),
            "a?31mb?\xC2");
  EXPECT_EQ(Printable("\xC2\xA0\xC3\xA9\t"), "\xC2\xA0\xC3\xA9\t");
  EXPECT_EQ(DisplayWidth("\u2588\u00e4x"), 3u);
}

TEST(Format, FindsWhatIsNotUtf8) {
  constexpr size_t kNowhere = std::string_view::npos;
  for (const char* good : {"", "plain", "\u00e4\u20ac\U0001F600", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(FindInvalidUtf8(good), kNowhere) << good;
  }
  // Stray, cut, overlong, surrogate, beyond the last.
  for (const char* bad : {"ab\xFF", "ab\x80", "ab\xE2\x82", "ab\xC0\xAF", "ab\xE0\x80\xAF",
                          "ab\xED\xA0\x80", "ab\xF4\x90\x80\x80", "ab\xC3("}) {
    EXPECT_EQ(FindInvalidUtf8(bad), 2u) << bad;
  }
}

TEST(Table, Aligns) {
  Table table({{"NAME"}, {"N", Table::Align::kRight}, {"LAST"}});
  table.Add({"a", "1", "x"});
  table.Add({"\u00e4bcdef", "100", ""});
  EXPECT_EQ(table.Render(),
            "NAME      N  LAST\n"
            "a         1  x\n"
            "\u00e4bcdef  100\n");
  EXPECT_EQ(table.Render(false),
            "a         1  x\n"
            "\u00e4bcdef  100\n");
}

TEST(Bar, FillsAndClamps) {
  EXPECT_EQ(Bar(0.5, 4, false), "[##--]");
  EXPECT_EQ(Bar(2, 4, false), "[####]");
  EXPECT_EQ(Bar(-1, 4, false), "[----]");
  EXPECT_EQ(Bar(0.0 / 0.0, 2, false), "[--]");
  for (const double fraction : {0.0, 0.1, 0.5, 0.97, 1.0}) {
    EXPECT_EQ(DisplayWidth(Bar(fraction, 20, true)), 20u) << fraction;
  }
}

TEST(TransferLine, TellsSpeedOfWhatWasSent) {
  const Transfer transfer = {.name = "higgs.csv",
                             .done = 60 << 20,
                             .total = 100 << 20,
                             .resumed_from = 40 << 20,
                             .seconds = 2};
  const std::string line = TransferLine(transfer, {});
  EXPECT_THAT(line, HasSubstr(" 60%"));
  EXPECT_THAT(line, HasSubstr("60.0 MiB of 100 MiB"));
  EXPECT_THAT(line, HasSubstr("10.0 MiB/s"));
  EXPECT_THAT(line, HasSubstr("ETA 4.0 s"));
  EXPECT_THAT(TransferLine({.name = "empty"}, {}), HasSubstr("100%"));
}

TEST(CutToWidth, CountsCharactersNotBytesOrEscapes) {
  EXPECT_EQ(CutToWidth("\u00e4\u00f6\u00fc", 2), "\u00e4\u00f6");
  EXPECT_EQ(CutToWidth("\x1b[31mab\x1b[0mcd", 3), "\x1b[31mab\x1b[0mc\x1b[0m");
  EXPECT_EQ(CutToWidth("short", 80), "short");
}

TEST(Colored, OnlyWhereAllowed) {
  EXPECT_EQ(Colored({}, Color::kRed, "x"), "x");
  EXPECT_EQ(Colored({.is_terminal = true, .color = true}, Color::kRed, "x"), "\x1b[31mx\x1b[0m");
}

const std::vector<RocPoint> kCurve = {{0, 0}, {0.1, 0.6}, {0.4, 0.9}, {1, 1}};

TEST(Roc, Area) {
  EXPECT_NEAR(AreaUnder(kCurve), 0.03 + 0.225 + 0.57, 1e-12);
  const std::vector<RocPoint> diagonal = {{0, 0}, {1, 1}};
  EXPECT_DOUBLE_EQ(AreaUnder(diagonal), 0.5);
}

TEST(Roc, PictureHasTheAskedSize) {
  const std::string ascii = RocPicture(kCurve, 30, 10, false);
  EXPECT_EQ(std::ranges::count(ascii, '\n'), 13);
  EXPECT_THAT(ascii, HasSubstr("1.0 |"));
  // Above the diagonal on the left, and nothing below it on the right.
  EXPECT_THAT(ascii, HasSubstr("*"));
  for (const char c : ascii) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
  const std::string braille = RocPicture(kCurve, 30, 10, true);
  EXPECT_THAT(braille, HasSubstr("\u2502"));
  EXPECT_THAT(braille, Not(HasSubstr("*")));
  EXPECT_EQ(RocPicture({}, 30, 10, true), "");
}

TEST(Roc, PictureOfAPerfectCurveHugsTheCorner) {
  const std::vector<RocPoint> perfect = {{0, 0}, {0, 1}, {1, 1}};
  EXPECT_EQ(RocPicture(perfect, 20, 3, false),
            "true positive rate\n"
            "1.0 |********************\n"
            "0.5 |*        .\n"
            "0.0 |*\n"
            "    +--------------------\n"
            "     0false positive rate1\n");
}

TEST(Roc, SvgIsCompleteAndEscaped) {
  const std::string svg = RocSvg(kCurve, "a<b & \"c\"");
  EXPECT_THAT(svg, HasSubstr("a&lt;b &amp; &quot;c&quot;"));
  EXPECT_THAT(svg, HasSubstr("60.00,430.00 98.00,202.00"));
  EXPECT_THAT(svg, HasSubstr("AUC 0.8250"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

}  // namespace
}  // namespace beamline::cli
