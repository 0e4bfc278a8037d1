// Trainings on data that the step's memory does not hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "engine/core/philox.h"
#include "tests/pipeline/bench.h"

namespace beamline::pipeline {
namespace {

using engine::data::Column;
using engine::data::Table;
using testing::Bench;
using ::testing::HasSubstr;

constexpr int64_t kMebibyte = int64_t{1} << 20;

std::string Definition(const std::string& data, const std::string& learner) {
  return absl::StrCat(R"(
name: stream
seed: 5
inputs: {rows: {dataset: d}}
steps:
  - name: train
    train:
      checkpoint: {every_steps: 100}
      data:
        input: rows
        split: {random: {validation: 0.1, test: 0.1}}
)",
                      data, learner);
}

constexpr char kLabels[] = R"(
        target: label
        transforms: [{columns: [kind], ordinal: {}}]
)";

constexpr char kNetwork[] = R"(
      network:
        layers:
          - {name: kinds, inputs: [codes], embedding: {dimension: 2}}
          - {inputs: [features, kinds], concat: {}}
          - dense: {units: 6, activation: relu}
          - dense: {}
        optimizer: {adam: {}}
        batch_size: 48
        epochs: 2
)";

// A label, `width` numbers on which it depends, and a text.
Table Rows(int64_t rows, int64_t width) {
  const engine::Philox random(4, 0);
  std::vector<Column> columns;
  std::vector<int64_t> label(static_cast<size_t>(rows));
  for (int64_t c = 0; c < width; ++c) {
    std::vector<float> values(static_cast<size_t>(rows));
    for (size_t r = 0; r < values.size(); ++r) {
      values[r] = random.Uniform(r * static_cast<size_t>(width) + static_cast<size_t>(c));
      if (c == 0) label[r] = values[r] > 0.5F ? 1 : 0;
    }
    columns.push_back(Column::Of(absl::StrCat("x", c), std::move(values)));
  }
  std::vector<std::string> kinds;
  for (int64_t r = 0; r < rows; ++r) kinds.push_back(r % 3 == 0 ? "a" : "b");
  columns.push_back(Column::OfStrings("kind", kinds));
  columns.push_back(Column::Of("label", std::move(label)));
  return Table(std::move(columns));
}

// What the task says about where its features are.
std::string PlaceSaid(const testing::RecordingSink& sink) {
  std::string said;
  for (const v1::Event& event : sink.events) {
    const std::string& text = event.log().text();
    if (absl::StrContains(text, "trains on")) said = text;
  }
  return said;
}

v1::TaskStart StartWith(Bench& bench, int64_t memory_bytes) {
  v1::TaskStart start = bench.Start("train");
  start.mutable_attempt()->mutable_resources()->set_memory_bytes(memory_bytes);
  return start;
}

std::string Trained(Bench& bench, const v1::TaskStart& start) {
  const v1::TaskEnd end = bench.Run("train", start);
  EXPECT_EQ(end.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << end.ShortDebugString();
  return Sha256Hex(bench.ModelBytes("train"));
}

TEST(Streaming, GivesTheSameModelWhereverFeaturesAre) {
  Bench bench(Definition(kLabels, kNetwork));
  bench.AddTable("rows", Rows(20'000, 16));  // 16 thousand to train on: 1.1 MB of features.
  const std::string expected = Trained(bench, StartWith(bench, 64 * kMebibyte));
  EXPECT_THAT(PlaceSaid(bench.sink()), HasSubstr("features of 2 MiB in memory"));

  const struct {
    int64_t memory_bytes;
    const char* said;
  } kPlaces[] = {{3 * kMebibyte, "features of 2 MiB in a file; "},
                 {kMebibyte, "features of 2 MiB in a file, streamed in each"},
                 {kMebibyte / 16, "features of 2 MiB read from the table"}};
  for (const auto& place : kPlaces) {
    for (const int threads : {1, 2}) {
      bench.threads = threads;
      EXPECT_EQ(Trained(bench, StartWith(bench, place.memory_bytes)), expected) << place.said;
      EXPECT_THAT(PlaceSaid(bench.sink()), HasSubstr(place.said));
    }
  }
}

// A network may look at a part of what rows have.
TEST(Streaming, CodesAlone) {
  Bench bench(Definition(kLabels, R"(
      network: {layers: [{embedding: {dimension: 2}}, {dense: {}}], batch_size: 100, epochs: 1}
)"));
  bench.AddTable("rows", Rows(20'000, 16));
  const std::string expected = Trained(bench, StartWith(bench, 64 * kMebibyte));
  for (const int64_t memory_bytes : {3 * kMebibyte, kMebibyte, kMebibyte / 16}) {
    EXPECT_EQ(Trained(bench, StartWith(bench, memory_bytes)), expected) << memory_bytes;
  }
}

// A worker that dies: its task goes on elsewhere, from one of its checkpoints.
TEST(Streaming, GoesOnFromAnyCheckpoint) {
  Bench bench(Definition(kLabels, kNetwork));
  bench.AddTable("rows", Rows(20'000, 16));
  const std::string expected = Trained(bench, StartWith(bench, 64 * kMebibyte));
  bench.sink().checkpoints.clear();
  EXPECT_EQ(Trained(bench, StartWith(bench, kMebibyte)), expected);
  const std::vector<v1::CheckpointFile> checkpoints = bench.sink().checkpoints;
  ASSERT_GE(checkpoints.size(), 5);
  for (size_t i = 0; i < checkpoints.size(); i += 2) {
    v1::TaskStart start = StartWith(bench, i % 4 == 0 ? kMebibyte : 3 * kMebibyte);
    start.mutable_attempt()->mutable_checkpoint()->set_digest(std::string(64, 'c'));
    (*start.mutable_input_paths())["checkpoint"] = checkpoints[i].path();
    EXPECT_EQ(Trained(bench, start), expected) << checkpoints[i].step();
  }
}

// Of learners that are no networks, those that take rows in another order each epoch.
TEST(Streaming, OtherLearnersStreamToo) {
  Bench bench(Definition(R"(
        objective: reconstruct
        features: [x0, x1, x2, x3, x4, x5, x6, x7, x8, x9, x10, x11, x12, x13, x14, x15]
        transforms: [{min_max_scale: {}}]
)",
                         R"(
      restricted_boltzmann: {hidden: 4, epochs: 2}
)"));
  bench.AddTable("rows", Rows(20'000, 16));
  const std::string expected = Trained(bench, StartWith(bench, 64 * kMebibyte));
  EXPECT_EQ(Trained(bench, StartWith(bench, kMebibyte)), expected);
  EXPECT_THAT(PlaceSaid(bench.sink()), HasSubstr("in a file, streamed"));
}

#ifndef BEAMLINE_SANITIZED
// Sanitizers have much memory of their own.
TEST(Streaming, OwnMemoryIsBounded) {
  Bench bench(Definition(kLabels, R"(
      network: {layers: [{inputs: [features], dense: {}}], optimizer: {adam: {}},
                batch_size: 512, epochs: 1}
)"));
  bench.AddTable("rows", Rows(100'000, 128));  // 80 thousand to train on: 42 MB of features.
  const std::string status = ReadFile("/proc/self/status").value();
  const int64_t own = int64_t{1024} * std::atoll(status.c_str() + status.find("VmData:") + 7);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  // Private memory that may be written to; mapped files do not count.
  const rlimit limit{static_cast<rlim_t>(own + 32 * kMebibyte), before.rlim_max};
  const v1::TaskStart large = StartWith(bench, 1024 * kMebibyte);
  const v1::TaskStart small = StartWith(bench, 16 * kMebibyte);
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
  const v1::TaskEnd in_memory = bench.Run("train", large);
  const v1::TaskEnd streamed = bench.Run("train", small);
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &before), 0);
  EXPECT_EQ(streamed.result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED)
      << streamed.ShortDebugString();
  EXPECT_EQ(in_memory.result().failure().kind(), v1::FAILURE_KIND_OUT_OF_MEMORY);
}
#endif

}  // namespace
}  // namespace beamline::pipeline
