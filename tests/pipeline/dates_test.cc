// The example dates: an encoder and a decoder learn what dates are in ISO 8601, of rows that no
// training saw.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "engine/core/philox.h"
#include "pipeline/predict.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using testing::Bench;
using testing::Metric;

std::string Ordinal(uint64_t day) {
  const bool teen = day / 10 == 1;
  const uint64_t last = day % 10;
  return std::to_string(day) + (teen || last == 0 || last > 3 ? "th"
                                : last == 1                   ? "st"
                                : last == 2                   ? "nd"
                                                              : "rd");
}

// As examples/dates/table.awk, from other numbers.
engine::data::Table Dates(size_t rows) {
  const std::vector<std::string> months = {"january",   "february", "march",    "april",
                                           "may",       "june",     "july",     "august",
                                           "september", "october",  "november", "december"};
  const std::vector<uint64_t> days = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const engine::Philox random(12, 34);
  std::set<std::string> seen;
  std::vector<std::string> written, iso;
  for (uint64_t draw = 0; written.size() < rows; ++draw) {
    const uint64_t month = random.Below(4 * draw, 12);
    const uint64_t day = 1 + random.Below(4 * draw + 1, days[month]);
    const uint64_t year = 1900 + random.Below(4 * draw + 2, 200);
    const std::string name = months[month], d = std::to_string(day), y = std::to_string(year);
    const std::vector<std::string> kinds = {d + " " + name + " " + y,
                                            name + " " + Ordinal(day) + " " + y,
                                            "the " + Ordinal(day) + " of " + name + " " + y,
                                            name.substr(0, 3) + " " + d + " " + y,
                                            d + "." + std::to_string(month + 1) + "." + y,
                                            y + " " + name.substr(0, 3) + " " + d};
    const std::string& text = kinds[random.Below(4 * draw + 3, kinds.size())];
    if (!seen.insert(text).second) continue;
    char date[32];
    std::snprintf(date, sizeof date, "%04d-%02d-%02d", static_cast<int>(year),
                  static_cast<int>(month + 1), static_cast<int>(day));
    written.push_back(text);
    iso.emplace_back(date);
  }
  return engine::data::Table(
      {Column::OfStrings("written", written), Column::OfStrings("iso", iso)});
}

class DatesTest : public ::testing::TestWithParam<const char*> {};

TEST_P(DatesTest, AreRightOfRowsThatNoTrainingSaw) {
  Bench bench(ReadFile(testing::SourceFile("examples/dates/pipeline.yaml")).value());
  bench.threads = 2;
  bench.AddTable("dates", Dates(12'000));
  const std::string name = GetParam();
  EXPECT_EQ(bench.Run(name).result().failure().message(), "");
  const v1::TaskEnd end = bench.Run(name + "-writes");
  const double exact = Metric(end, "exact_match");
  RecordProperty("exact_match", std::to_string(exact));
  RecordProperty("log_loss", std::to_string(Metric(end, "log_loss")));
  EXPECT_GE(exact, 0.95);
  const auto predictor = Predictor::Load(bench.ModelBytes(name)).value();
  const auto said = predictor
                        ->Predict(testing::Rows(R"([{"written": "the 21st of march 2044"},
                                                    {"written": "3.7.1969"}])"))
                        .value();
  EXPECT_EQ(said[0].label(), "2044-03-21");
  EXPECT_EQ(said[1].label(), "1969-07-03");
}

INSTANTIATE_TEST_SUITE_P(Networks, DatesTest, ::testing::Values("transformer", "recurrent"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace beamline::pipeline
