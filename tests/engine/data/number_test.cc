#include "engine/data/number.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace beamline::engine::data {
namespace {

using Kind = ScannedNumber::Kind;

void ExpectAsStrtod(const std::string& text) {
  const ScannedNumber number = ParseNumber(text);
  ASSERT_NE(number.kind, Kind::kNone) << text;
  ASSERT_EQ(std::bit_cast<uint64_t>(number.value),
            std::bit_cast<uint64_t>(std::strtod(text.c_str(), nullptr)))
      << text << " read as " << number.value;
}

std::string Print(const char* format, auto... values) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

TEST(NumberTest, ReadsRandomDoublesAsStrtodDoes) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (value - value != 0) continue;
    ExpectAsStrtod(Print("%.*g", 1 + static_cast<int>(random() % 25), value));
  }
}

TEST(NumberTest, ReadsRandomFloatsWithNineteenDigits) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (value - value != 0) continue;
    ExpectAsStrtod(Print("%.18e", static_cast<double>(value)));
  }
}

TEST(NumberTest, ReadsRandomDigitsAndExponents) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 200'000; ++i) {
    const int shift = static_cast<int>(random() % 64);
    ExpectAsStrtod(Print("%llu", static_cast<unsigned long long>(random() >> shift)));
    ExpectAsStrtod(Print("%llu.%llue%d", static_cast<unsigned long long>(random() % 1'000'000),
                         static_cast<unsigned long long>(random()),
                         static_cast<int>(random() % 700) - 350));
    // Half way between two doubles, and next to it.
    const uint64_t half = ((uint64_t{1} << 53) | (random() >> 11)) * 2 + 1;
    ExpectAsStrtod(Print("%llu", static_cast<unsigned long long>(half)));
    ExpectAsStrtod(Print("%llu.0000000000000000000001", static_cast<unsigned long long>(half)));
  }
}

TEST(NumberTest, ReadsTheEdges) {
  for (const char* text : {"0",
                           "-0",
                           "+1",
                           "1.",
                           ".5",
                           "-.5e1",
                           "1e400",
                           "-1e400",
                           "1e-400",
                           "0e99999999999999",
                           "0.0000001e-9999999",
                           "5e-324",
                           "2.4703282292062327e-324",
                           "2.4703282292062328e-324",
                           "1.7976931348623157e308",
                           "1.7976931348623159e308",
                           "2.2250738585072011e-308",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "9223372036854775808",
                           "9007199254740993",
                           "9007199254740993.00000000000000000000000000000000001",
                           "inf",
                           "-Infinity",
                           "00000000000000000000000000000000000001",
                           "1E+05",
                           "123456789012345678901234567890e-10"}) {
    ExpectAsStrtod(text);
  }
}

TEST(NumberTest, TellsIntegersFromFractions) {
  EXPECT_EQ(ParseNumber("42").kind, Kind::kInteger);
  EXPECT_EQ(ParseNumber("-42").integer, -42);
  EXPECT_EQ(ParseNumber("9223372036854775807").kind, Kind::kInteger);
  EXPECT_EQ(ParseNumber("9223372036854775808").kind, Kind::kFraction);
  EXPECT_EQ(ParseNumber("-0").kind, Kind::kFraction);
  EXPECT_EQ(ParseNumber("1.0").kind, Kind::kFraction);
  EXPECT_EQ(ParseNumber("1e2").kind, Kind::kFraction);
}

TEST(NumberTest, RefusesWhatIsNoNumber) {
  for (const char* text : {"", "-", "+", ".", "e5", "1e", "1e+", "1x", "0x10", "1 2", "--1",
                           "1.2.3", "infinit", "nan", " 1", "1 "}) {
    EXPECT_EQ(ParseNumber(text).kind, Kind::kNone) << text;
  }
}

TEST(NumberTest, ReadsNothingBehindTheEnd) {
  const std::string text = "12345678.12345678e10";
  for (size_t size = 0; size < text.size(); ++size) {
    const std::string piece = text.substr(0, size);  // its own allocation, watched by ASan
    const ScannedNumber number = ScanNumber(piece.data(), piece.data() + piece.size());
    if (number.kind == Kind::kNone) continue;
    EXPECT_LE(number.end, piece.data() + piece.size());
  }
}

}  // namespace
}  // namespace beamline::engine::data
