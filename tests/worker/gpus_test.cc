// GPUs: what the driver's library tells, where it is missing, and those that are made up.
#include "worker/gpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace beamline::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kDouble[] = {NVML_DOUBLE};

std::vector<std::string> Lines(const GpuSource& source) {
  std::vector<std::string> lines;
  for (const v1::Device& gpu : source.gpus()) {
    EXPECT_EQ(gpu.kind(), v1::DEVICE_KIND_CUDA);
    lines.push_back(absl::StrCat(gpu.id(), "|", gpu.model(), "|", gpu.memory_bytes() >> 20, "|",
                                 gpu.uuid(), "|", gpu.compute_capability()));
  }
  return lines;
}

TEST(Gpus, ListsWholeGpusAndSlicesAndLeavesOutWhatDoesNotAnswer) {
  const auto source = FindGpus(kDouble);
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(Lines(**source), ElementsAre("gpu0|NVIDIA H100 80GB HBM3|81559|GPU-0000|9.0",
                                           "gpu1/mig0|NVIDIA A30 MIG 1g.6gb|6144|MIG-a|8.0",
                                           "gpu1/mig2|NVIDIA A30 MIG|12288|MIG-c|8.0"));
}

TEST(Gpus, ReadingsAreOfTheDevicesThatTell) {
  const auto source = FindGpus(kDouble);
  ASSERT_TRUE(source.ok()) << source.status();
  v1::Worker worker;
  worker.add_devices()->set_id("cpu");
  for (const v1::Device& gpu : (*source)->gpus()) *worker.add_devices() = gpu;
  worker.mutable_devices(2)->set_power_watts(1);
  (*source)->Read(*worker.mutable_devices());
  EXPECT_FALSE(worker.devices(0).has_utilization());
  EXPECT_DOUBLE_EQ(worker.devices(1).utilization(), 0.75);
  EXPECT_DOUBLE_EQ(worker.devices(1).temperature_celsius(), 41);
  EXPECT_DOUBLE_EQ(worker.devices(1).power_watts(), 350.5);
  EXPECT_FALSE(worker.devices(2).has_power_watts()) << "an old reading must not stay";
}

TEST(Gpus, WithoutTheLibraryOrItsDriverTheReasonIsSaid) {
  constexpr const char* kNowhere[] = {"/nonexistent/libnvidia-ml.so.1", "/nonexistent/other.so"};
  const auto nowhere = FindGpus(kNowhere);
  EXPECT_TRUE(absl::IsNotFound(nowhere.status()));
  EXPECT_THAT(std::string(nowhere.status().message()), HasSubstr("libnvidia-ml.so.1"));

  constexpr const char* kOther[] = {"libc.so.6"};
  EXPECT_THAT(std::string(FindGpus(kOther).status().message()), HasSubstr("has no nvmlInit_v2"));

  setenv("BEAMLINE_NVML_DOUBLE", "no-driver", 1);
  const auto silent = FindGpus(kDouble);
  unsetenv("BEAMLINE_NVML_DOUBLE");
  EXPECT_TRUE(absl::IsFailedPrecondition(silent.status()));
  EXPECT_THAT(std::string(silent.status().message()), HasSubstr("Driver Not Loaded"));
  EXPECT_THAT(NoGpus()->gpus(), IsEmpty());
}

// Where there is a driver, what it tells makes sense: holds the declarations against the real
// thing.
TEST(Gpus, TheRealLibraryIsUnderstood) {
  const auto source = FindGpus();
  if (!source.ok()) GTEST_SKIP() << source.status();
  if ((*source)->gpus().empty()) GTEST_SKIP() << "the driver tells of no GPU";
  v1::Worker worker;
  for (const v1::Device& gpu : (*source)->gpus()) *worker.add_devices() = gpu;
  (*source)->Read(*worker.mutable_devices());
  for (const v1::Device& gpu : worker.devices()) {
    SCOPED_TRACE(gpu.ShortDebugString());
    EXPECT_FALSE(gpu.model().empty());
    EXPECT_TRUE(gpu.uuid().starts_with("GPU-") || gpu.uuid().starts_with("MIG-"));
    EXPECT_GT(gpu.memory_bytes(), int64_t{1} << 30);
    EXPECT_LT(gpu.memory_bytes(), int64_t{1} << 40);
    EXPECT_THAT(gpu.compute_capability(), ::testing::MatchesRegex("[0-9]+[.][0-9]"));
    EXPECT_LE(gpu.utilization(), 1);
    EXPECT_LT(gpu.temperature_celsius(), 120);
    EXPECT_LT(gpu.power_watts(), 2'000);
  }
}

TEST(Gpus, FakesAreReadFromText) {
  const auto source = MakeFakeGpus("gpu0:H100:80GiB, gpu1/mig0:H100 MIG 1g.10gb:10 GiB");
  ASSERT_TRUE(source.ok()) << source.status();
  EXPECT_THAT(Lines(**source), ElementsAre("gpu0|H100|81920|FAKE-gpu0|",
                                           "gpu1/mig0|H100 MIG 1g.10gb|10240|FAKE-gpu1/mig0|"));
}

TEST(Gpus, MalformedFakesAreRefusedWithTheReason) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "\"\" is not of the form ID:MODEL:MEMORY"},
      {"gpu0", "is not of the form"},
      {"gpu0:H100:80GiB:more", "is not of the form"},
      {"gpu0:H100:80GiB,", "\"\" is not of the form"},
      {"cpu:H100:80GiB", "\"cpu:H100:80GiB\" does not begin with an id such as gpu0"},
      {"gpu:H100:80GiB", "does not begin with an id"},
      {"gpu00:H100:80GiB", "does not begin with an id"},
      {"gpu-1:H100:80GiB", "does not begin with an id"},
      {"gpu1000:H100:80GiB", "does not begin with an id"},
      {"gpu0/:H100:80GiB", "does not begin with an id"},
      {"gpu0/mig:H100:80GiB", "does not begin with an id"},
      {"gpu0/mig1/mig2:H100:80GiB", "does not begin with an id"},
      {"gpu0::80GiB", "has no model"},
      {"gpu0:H100:", "has no memory such as 80GiB"},
      {"gpu0:H100:much", "has no memory"},
      {"gpu0:H100:-1GiB", "has no memory"},
      {"gpu0:H100:0", "has no memory"},
      {"gpu0:H100:1e30", "has no memory"},
      {"gpu0:H100:nan", "has no memory"},
      {"gpu0:H100:80GiB,gpu0:H100:80GiB", "gpu0 is listed twice"},
  };
  for (const auto& [text, reason] : cases) {
    const auto source = MakeFakeGpus(text);
    EXPECT_TRUE(absl::IsInvalidArgument(source.status())) << text;
    EXPECT_THAT(std::string(source.status().message()), HasSubstr(reason)) << text;
  }
  EXPECT_LT(MakeFakeGpus(std::string(100'000, 'x')).status().message().size(), 200u);
}

}  // namespace
}  // namespace beamline::worker
