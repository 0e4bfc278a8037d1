// The example copy_task: a memory copies sequences longer than those it learned from, and an LSTM
// of more parameters does not.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "engine/core/philox.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using testing::Bench;

// As examples/copy_task/table.awk, from other numbers.
engine::data::Table Sequences(int shorts, int longs) {
  std::vector<std::string> part, symbol, copy;
  std::vector<double> number, weight;
  for (int i = 0; i < shorts + longs; ++i) {
    const engine::Philox random(11, static_cast<uint64_t>(i));
    const uint64_t length = i < shorts ? 1 + random.Below(0, 10) : 20;
    const auto row = [&](const std::string& seen, const std::string& said, double counts) {
      number.push_back(i);
      part.emplace_back(i < shorts ? "short" : "long");
      symbol.push_back(seen);
      copy.push_back(said);
      weight.push_back(counts);
    };
    const auto letter = [&](uint64_t k) {
      return std::string(1, static_cast<char>('a' + random.Below(1 + k, 8)));
    };
    for (uint64_t k = 0; k < length; ++k) row(letter(k), letter(k), 0);
    row("|", "a", 0);
    for (uint64_t k = 0; k < length; ++k) row(".", letter(k), 1);
  }
  return engine::data::Table({Column::Of("sequence", number), Column::OfStrings("part", part),
                              Column::OfStrings("symbol", symbol), Column::OfStrings("copy", copy),
                              Column::Of("weight", weight)});
}

double Accuracy(const v1::TaskEnd& end) {
  EXPECT_EQ(end.result().failure().message(), "");
  return end.result().result().evaluation().metrics().at("accuracy");
}

TEST(CopyTaskTest, AMemoryCopiesLongerSequencesThanItLearnedFrom) {
  Bench bench(ReadFile(testing::SourceFile("examples/copy_task/pipeline.yaml")).value());
  bench.AddTable("sequences", Sequences(2000, 100));
  for (const char* step : {"memory", "lstm"}) {
    EXPECT_EQ(bench.Run(step).result().failure().message(), "");
  }
  const v1::TaskEnd memory = bench.Run("memory-copies");
  const double with = Accuracy(memory);
  const double without = Accuracy(bench.Run("lstm-copies"));
  RecordProperty("memory", std::to_string(with));
  RecordProperty("lstm", std::to_string(without));
  EXPECT_GT(with, 0.8);
  EXPECT_LT(without, 0.4);
  EXPECT_EQ(memory.result().result().evaluation().row_count(), 100 * 41);
}

}  // namespace
}  // namespace beamline::pipeline
