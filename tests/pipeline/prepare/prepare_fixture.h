// A prepare step on the tables of the fixture.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/data/columnar.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline::testing {

inline std::string Definition(const std::string& operations, int seed = 3) {
  return absl::StrCat("name: p\nseed: ", seed, R"(
inputs: {events: {dataset: e}, runs: {dataset: r}, more: {dataset: m}}
steps:
  - name: made
    prepare: {input: events, operations: )",
                      operations, "}\n");
}

// With the tables of the fixture as inputs.
class PrepareBench : public Bench {
 public:
  explicit PrepareBench(const std::string& operations, int seed = 3)
      : Bench(Definition(operations, seed)) {
    for (const char* input : {"events", "runs", "more"}) {
      AddFile(input, SourceFile(absl::StrCat("tests/pipeline/prepare/", input, ".csv")));
    }
  }
};

struct Made {
  v1::TaskEnd end;
  engine::data::Dataset dataset;
  const engine::data::Table& table() const { return dataset.table; }
};

inline Made Make(Bench& bench) {
  Made made;
  made.end = bench.Run("made");
  EXPECT_EQ(made.end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << made.end.result().failure().ShortDebugString();
  if (made.end.artifact_paths().contains("table")) {
    made.dataset = engine::data::OpenColumnar(made.end.artifact_paths().at("table"));
  }
  return made;
}

inline Made Make(const std::string& operations, int seed = 3) {
  PrepareBench bench(operations, seed);
  return Make(bench);
}

}  // namespace beamline::pipeline::testing
