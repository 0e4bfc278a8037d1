#include "worker/measuring_executor.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/file.h"

namespace beamline::worker {
namespace {

class NoExecution : public Execution {
 public:
  void Stop(StopReason) override {}
  void SetPaused(bool) override {}
};

class NoExecutor : public Executor {
 public:
  std::unique_ptr<Execution> Start(std::shared_ptr<const v1::Attempt>,
                                   std::shared_ptr<ExecutionListener>) override {
    return std::make_unique<NoExecution>();
  }
};

class MeasuringExecutorTest : public ::testing::Test {
 protected:
  MeasuringExecutorTest() { worker_.add_devices()->set_kind(v1::DEVICE_KIND_CPU); }

  // Measures by a shell script.
  MeasuringExecutor::Options OptionsOf(const std::string& script, const std::string& key = "k") {
    return {.binary = "/bin/sh",
            .arguments = {"-c", script},
            .threads = {1, 2},
            .file = folder_.path() + "/rates",
            .key = key};
  }
  // Whether the worker has rates after at most ten seconds.
  bool Find(MeasuringExecutor& executor) {
    for (int i = 0; i < 500 && worker_.devices(0).rates().empty(); ++i) {
      executor.Update(worker_);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return !worker_.devices(0).rates().empty();
  }
  bool Exists(const std::string& name) {
    for (int i = 0; i < 500; ++i) {
      if (std::filesystem::exists(folder_.path() + name)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

  TemporaryDirectory folder_;
  NoExecutor inner_;
  v1::Worker worker_;
};

constexpr char kScript[] = "echo matmul $0 1e6 4096 0.001; echo add $1 10 80 1e-07; echo end";

TEST_F(MeasuringExecutorTest, MeasuresOnce) {
  {
    MeasuringExecutor executor(inner_, OptionsOf(kScript));
    ASSERT_TRUE(Find(executor));
  }
  ASSERT_EQ(worker_.devices(0).rates_size(), 2);
  EXPECT_EQ(worker_.devices(0).rates(0).kernel(), "matmul");
  EXPECT_EQ(worker_.devices(0).rates(1).threads(), 2);
  EXPECT_EQ(worker_.devices(0).rates(1).seconds(), 1e-7);
  // The next start reads the file: this one could not measure anything.
  worker_.mutable_devices(0)->clear_rates();
  MeasuringExecutor again(inner_, OptionsOf("exit 1"));
  again.Update(worker_);
  EXPECT_EQ(worker_.devices(0).rates_size(), 2);
  // Another processor or version does not.
  worker_.mutable_devices(0)->clear_rates();
  MeasuringExecutor other(inner_, OptionsOf("echo matmul 1 1 1 1; echo end", "other"));
  ASSERT_TRUE(Find(other));
  EXPECT_EQ(worker_.devices(0).rates_size(), 1);
}

TEST_F(MeasuringExecutorTest, MakesWayForAttempts) {
  const std::string begun = folder_.path() + "/begun";
  MeasuringExecutor executor(inner_, OptionsOf("if [ -e " + begun + " ]; then " + kScript +
                                               "; else touch " + begun + "; sleep 60; fi"));
  executor.Update(worker_);
  ASSERT_TRUE(Exists("/begun"));
  {
    const auto execution = executor.Start(std::make_shared<v1::Attempt>(), nullptr);
    // Nothing is measured while it runs.
    for (int i = 0; i < 20; ++i) executor.Update(worker_);
    EXPECT_TRUE(worker_.devices(0).rates().empty());
  }
  EXPECT_TRUE(Find(executor));
}

TEST_F(MeasuringExecutorTest, TakesNothingFromAMeasurementThatFailed) {
  MeasuringExecutor executor(inner_, OptionsOf("echo matmul 1 1e6 4096 0.001; exit 1"));
  for (int i = 0; i < 50; ++i) {
    executor.Update(worker_);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(worker_.devices(0).rates().empty());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/rates"));
}

TEST(RateLineTest, IsReadAsItWasWritten) {
  v1::MeasuredRate rate;
  rate.set_kernel("matmul/grad.tanh");
  rate.set_threads(16);
  rate.set_flops(123456789);
  rate.set_bytes(4096);
  rate.set_seconds(1.5e-5);
  EXPECT_EQ(ParseRateLine(RateLine(rate)).value().SerializeAsString(), rate.SerializeAsString());
  for (const char* bad : {"", "matmul 1 2 3", "matmul 0 1 1 1", "matmul 1 1 1 0", "a b c d e"}) {
    EXPECT_FALSE(ParseRateLine(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace beamline::worker
