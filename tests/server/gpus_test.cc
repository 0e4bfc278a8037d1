// Steps that ask for GPUs, through a server in this process: which device each gets, and which
// wait.
#include <gmock/gmock.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "tests/server/harness.h"

namespace beamline::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kGiB = int64_t{1} << 30;

class GpusTest : public ServerTest {
 protected:
  // A run of the pipeline whose train step has these resources; its name.
  std::string Run(const std::string& resources) {
    v1::CreateRunRequest request = RunRequest();
    request.mutable_source()->set_yaml(
        absl::StrReplaceAll(kPipeline, {{"name: fit", "name: fit\n    resources: " + resources}}));
    const auto run = Call(server_->runs(), &RunApi::CreateRun, User("ada"), request);
    EXPECT_TRUE(run.ok()) << run.status();
    return run.ok() ? run->name() : "";
  }
  // Where what the worker is told to start runs: "gpu0 gpu1".
  std::vector<std::string> Started(FakeWorker& worker) {
    std::vector<std::string> places;
    work_ = worker.Synchronize(*server_);
    for (const v1::Attempt& attempt : work_.start()) {
      places.push_back(absl::StrJoin(attempt.devices(), " "));
    }
    return places;
  }
  std::string Why(const std::string& run) {
    v1::ExplainRunRequest request;
    request.set_name(run);
    const auto reasons = Call(server_->runs(), &RunApi::ExplainRun, User("ada"), request);
    EXPECT_TRUE(reasons.ok()) << reasons.status();
    return reasons.ok() ? reasons->tasks(0).ShortDebugString() : "";
  }

  v1::SynchronizeResponse work_;
};

TEST_F(GpusTest, ATaskGetsTheSmallestGpuThatIsLargeEnoughAndNobodyElseDoes) {
  FakeWorker worker(*server_);
  worker.AddGpu("gpu0", 80 * kGiB);
  worker.AddGpu("gpu1/mig0", 10 * kGiB);
  worker.Synchronize(*server_);
  Run("{cpus: 0.2, gpus: 1}");
  EXPECT_THAT(Started(worker), ElementsAre("gpu1/mig0"));
  Run("{cpus: 0.2, device: cuda, gpu_memory_bytes: 20 GiB}");
  EXPECT_THAT(Started(worker), ElementsAre("gpu0"));
  const v1::Attempt on_gpu0 = work_.start(0);

  const std::string waiting = Run("{cpus: 0.2, gpus: 1, gpu_memory_bytes: 20 GiB}");
  EXPECT_THAT(Started(worker), IsEmpty());
  EXPECT_EQ(GetTask(waiting, "fit").state(), v1::TASK_STATE_QUEUED);
  EXPECT_THAT(Why(waiting), HasSubstr("busy"));
  // Cores are free: steps that need nothing else, or can do without, pass.
  Run("{cpus: 0.2}");
  EXPECT_THAT(Started(worker), ElementsAre("cpu"));
  Run("{cpus: 0.2, gpus: 1, device: any}");
  EXPECT_THAT(Started(worker), ElementsAre("cpu"));

  worker.Train(*server_, on_gpu0);
  const auto places = Started(worker);
  EXPECT_THAT(places, ::testing::Contains("gpu0"));
  EXPECT_EQ(GetTask(waiting, "fit").state(), v1::TASK_STATE_RUNNING);
}

TEST_F(GpusTest, ATaskThatNoGpuCanHoldIsRefusedWithTheLargestThereIs) {
  FakeWorker worker(*server_);
  const std::string before = Run("{gpus: 1, gpu_memory_bytes: 100 GiB}");
  worker.AddGpu("gpu0", 80 * kGiB);
  worker.Synchronize(*server_);
  EXPECT_THAT(Started(worker), IsEmpty());
  EXPECT_THAT(Why(before), HasSubstr("needs 1 GPU"));
  v1::CreateRunRequest request = RunRequest();
  request.mutable_source()->set_yaml(absl::StrReplaceAll(
      kPipeline,
      {{"name: fit", "name: fit\n    resources: {gpus: 1, gpu_memory_bytes: 100 GiB}"}}));
  const absl::Status refused =
      Call(server_->runs(), &RunApi::CreateRun, User("ada"), request).status();
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("steps.fit.resources.gpu_memory_bytes: is 102400 MiB, and the largest "
                        "worker has 81920 MiB: ask for at most that"));
}

TEST_F(GpusTest, ARestartOfTheServerKeepsAGpuWithItsTask) {
  FakeWorker worker(*server_);
  worker.AddGpu("gpu0", 80 * kGiB);
  worker.Synchronize(*server_);
  Run("{cpus: 0.2, gpus: 1}");
  ASSERT_THAT(Started(worker), ElementsAre("gpu0"));
  const v1::Attempt first = work_.start(0);
  const std::string second = Run("{cpus: 0.2, gpus: 1}");
  Restart();
  EXPECT_THAT(Started(worker), IsEmpty());
  EXPECT_EQ(GetTask(second, "fit").state(), v1::TASK_STATE_QUEUED);
  worker.Train(*server_, first);
  EXPECT_THAT(Started(worker), ::testing::Contains("gpu0"));
}

TEST_F(GpusTest, ReadingsAreShownAsTheyWereLast) {
  FakeWorker worker(*server_);
  worker.AddGpu("gpu0", 80 * kGiB);
  v1::SynchronizeRequest request = worker.Request(0);
  request.mutable_worker()->mutable_devices(1)->set_power_watts(350);
  ASSERT_TRUE(Call(server_->workers(), &WorkerApi::Synchronize, worker.principal(), request).ok());
  const auto listed =
      Call(server_->cluster(), &ClusterApi::ListWorkers, User("ada"), v1::ListWorkersRequest());
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->workers(0).devices_size(), 2);
  EXPECT_EQ(listed->workers(0).devices(1).power_watts(), 350);
}

TEST_F(GpusTest, RatesAreHeardIfTheyAreSome) {
  FakeWorker worker(*server_);
  v1::SynchronizeRequest request = worker.Request(0);
  auto& rates = *request.mutable_worker()->mutable_devices(0)->mutable_rates();
  const auto add = [&](const std::string& kernel, int threads, double seconds) {
    v1::MeasuredRate& rate = *rates.Add();
    rate.set_kernel(kernel);
    rate.set_threads(threads);
    rate.set_seconds(seconds);
  };
  add("matmul", 1, std::nan(""));
  add("matmul", 1, -1);
  add("matmul", 0, 1);
  add(std::string(65, 'm'), 1, 1);
  for (int i = 0; i < 3000; ++i) add("matmul", 1, i);
  ASSERT_TRUE(Call(server_->workers(), &WorkerApi::Synchronize, worker.principal(), request).ok());
  const auto listed =
      Call(server_->cluster(), &ClusterApi::ListWorkers, User("ada"), v1::ListWorkersRequest());
  ASSERT_TRUE(listed.ok()) << listed.status();
  const v1::Device& device = listed->workers(0).devices(0);
  ASSERT_EQ(device.rates_size(), 2000);
  EXPECT_EQ(device.rates(0).seconds(), 0);
}

}  // namespace
}  // namespace beamline::server
