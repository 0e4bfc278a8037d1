// beamline-task itself: real training in a confined process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/file.h"
#include "tests/pipeline/bench.h"
#include "tests/worker/memory_blobs.h"
#include "tests/worker/recorder.h"
#include "worker/process_executor.h"

namespace beamline::worker {
namespace {

constexpr char kDefinition[] = R"(
name: worker-test
seed: 5
inputs:
  points: {dataset: projects/p/datasets/d}
steps:
  - name: train
    train:
      data:
        input: points
        target: label
        split: {random: {validation: 0.2}}
      network:
        layers:
          - dense: {units: 16, activation: tanh}
          - dense: {}
        batch_size: 32
        epochs: 300
)";

// 400 points in two classes, a ring inside of another.
std::string Points() {
  std::string csv = "x,y,label\n";
  for (int i = 0; i < 400; ++i) {
    const double radius = i % 2 == 0 ? 1.0 : 2.0;
    csv += std::to_string(radius * ((i * 37) % 100 - 50) / 50.0) + "," +
           std::to_string(radius * ((i * 53) % 100 - 50) / 50.0) + "," +
           (i % 2 == 0 ? "in" : "out") + "\n";
  }
  return csv;
}

class EngineTest : public ::testing::Test {
 protected:
  EngineTest() : bench_(kDefinition) {
    const std::string csv = folder_.path() + "/points.csv";
    EXPECT_TRUE(WriteFileAtomically(csv, Points()).ok());
    bench_.AddFile("points", csv);
    options_.work_folder = folder_.path() + "/work";
    cache_ = BlobCache::Open(folder_.path() + "/cache", 1 << 30).value();
    starter_ = std::make_unique<TaskStarter>(TaskStarter::Options{.binary = TASK_BINARY});
    executor_ = std::make_unique<ProcessExecutor>(options_, *starter_, *cache_, blobs_, clock_);
    EXPECT_TRUE(executor_->Prepare().ok());
    const v1::TaskStart start = bench_.Start("train");
    attempt_ = start.attempt();
    (*attempt_.mutable_inputs())["points"] =
        blobs_.Put(ReadFile(start.input_paths().at("points")).value());
    attempt_.mutable_resources()->set_memory_bytes(64 << 20);
  }

  void Start() {
    recorder_ = std::make_shared<Recorder>();
    execution_ = executor_->Start(std::make_shared<v1::Attempt>(attempt_), recorder_);
  }
  static bool HasStepped(const v1::Event& event) { return event.progress().step() >= 1; }

  TemporaryDirectory folder_;
  pipeline::testing::Bench bench_;
  SystemClock clock_;
  ProcessExecutorOptions options_;
  MemoryBlobs blobs_;
  std::unique_ptr<BlobCache> cache_;
  std::unique_ptr<TaskStarter> starter_;
  std::unique_ptr<ProcessExecutor> executor_;
  v1::Attempt attempt_;
  std::shared_ptr<Recorder> recorder_;
  std::unique_ptr<Execution> execution_;
};

TEST_F(EngineTest, TrainsTheSameModelAsAnywhere) {
  Start();
  const v1::AttemptResult result = recorder_->End();
  ASSERT_EQ(result.outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << result.DebugString();
  ASSERT_EQ(bench_.Run("train").result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  EXPECT_EQ(result.result().artifacts().at("model").digest(),
            Sha256Hex(bench_.ModelBytes("train")));
}

TEST_F(EngineTest, AReleasedAttemptGoesOnElsewhereToTheSameModel) {
  ASSERT_EQ(bench_.Run("train").result().outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED);
  Start();
  ASSERT_TRUE(recorder_->WaitForEvent(HasStepped));
  execution_->Stop(Execution::StopReason::kRelease);
  const v1::AttemptResult first = recorder_->End();
  if (first.outcome() == v1::AttemptResult::OUTCOME_SUCCEEDED) {
    GTEST_SKIP() << "the training was faster than the request to stop";
  }
  ASSERT_EQ(first.outcome(), v1::AttemptResult::OUTCOME_RELEASED) << first.DebugString();
  const v1::Event last = recorder_->events().back();
  ASSERT_TRUE(last.has_checkpoint());
  *attempt_.mutable_checkpoint() = last.checkpoint().blob();
  attempt_.set_number(2);
  Start();
  const v1::AttemptResult second = recorder_->End();
  ASSERT_EQ(second.outcome(), v1::AttemptResult::OUTCOME_SUCCEEDED) << second.DebugString();
  EXPECT_EQ(second.result().artifacts().at("model").digest(),
            Sha256Hex(bench_.ModelBytes("train")));
}

TEST_F(EngineTest, TheFirstStepComesSoon) {
  std::vector<int64_t> times_ms;
  for (int i = 0; i < 5; ++i) {
    // The process that is kept ready comes back after a moment.
    Cancellation().WaitFor(300);
    attempt_.set_number(i + 1);
    const int64_t before_ms = clock_.MonotonicMillis();
    Start();
    ASSERT_TRUE(recorder_->WaitForEvent(HasStepped));
    times_ms.push_back(clock_.MonotonicMillis() - before_ms);
    recorder_->End();
  }
  std::sort(times_ms.begin(), times_ms.end());
  std::printf("from the assignment to the first step: median %d ms\n",
              static_cast<int>(times_ms[2]));
  RecordProperty("median_ms", static_cast<int>(times_ms[2]));
#ifndef BEAMLINE_SANITIZED
  EXPECT_LT(times_ms[2], 200) << "with room for a busy machine";
#endif
}

}  // namespace
}  // namespace beamline::worker
