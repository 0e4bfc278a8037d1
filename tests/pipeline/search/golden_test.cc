// What searches suggested when this was written: a change of bits, on another machine or by another
// version, is a change that users of a stored definition see.
#include <cstdio>

#include "gtest/gtest.h"
#include "tests/pipeline/search/bench.h"

namespace beamline::pipeline::search {
namespace {

const std::string kSpace =
    In("depth", "integer {min: 1 max: 4}") + In("lr", "log_uniform {min: 1e-4 max: 1}") +
    In("momentum",
       "uniform {min: 0 max: 0.9}"
       " when {key: 'optimizer' value {values {string_value: 'sgd'}}}") +
    In("optimizer", "choice {values {string_value: 'sgd'} values {string_value: 'adam'}}") +
    In("units", "log_integer {min: 4 max: 512}");

// The values of one trial; each trial's result is its lr.
std::string Trial(const std::string& algorithm, int number) {
  const v1::Search search = Parse(algorithm + kSpace);
  std::mt19937 random(1);
  std::string text;
  RunAll({search, 9, false, 2026}, 3, random, [&](const Suggestion& s) {
    if (s.number == number) {
      text.clear();
      for (const auto& [key, value] : s.values) {
        char line[64];
        std::snprintf(line, sizeof line, "%.12g", value.number_value());
        text += key + "=" + (value.has_string_value() ? value.string_value() : line) + " ";
      }
    }
    return Success(s, NumberOf(s.values, "lr"));
  });
  return text;
}

TEST(GoldenTest, Random) {
  EXPECT_EQ(Trial("random {trials: 3}", 1), "depth=4 lr=0.649791546308 optimizer=adam units=21 ");
  EXPECT_EQ(Trial("random {trials: 3}", 3), "depth=4 lr=0.0151699616762 optimizer=adam units=263 ");
  EXPECT_EQ(Trial("successive_halving {trials: 9}", 3), Trial("random {trials: 3}", 3));
}

TEST(GoldenTest, Sobol) {
  EXPECT_EQ(Trial("sobol {trials: 8}", 7),
            "depth=1 lr=0.00454236430311 momentum=0.293922491907 optimizer=sgd units=31 ");
}

TEST(GoldenTest, Tpe) {
  EXPECT_EQ(Trial("tpe {trials: 60}", 3), Trial("random {trials: 3}", 3));
  EXPECT_EQ(Trial("tpe {trials: 60}", 30),
            "depth=3 lr=0.000766653366283 momentum=0.787898731487 optimizer=sgd units=235 ");
  EXPECT_EQ(Trial("tpe {trials: 60}", 60),
            "depth=3 lr=0.000274627270356 momentum=0.860779563147 optimizer=sgd units=210 ");
}

}  // namespace
}  // namespace beamline::pipeline::search
