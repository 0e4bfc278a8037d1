// Whole trainings on a GPU: the same bits again, however they are run and resumed, and near those
// of the CPU. Skipped where there is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>

#include "engine/backend/backend.h"
#include "engine/backend/device.h"
#include "engine/core/error.h"
#include "tests/engine/learners/families.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Make;
using testing::Train;
using testing::WeightBytes;

class DeviceTest : public ::testing::TestWithParam<testing::Family> {
 protected:
  void SetUp() override {
    try {
      FindBackend("cuda");
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  NetworkSpec Spec(const std::string& backend) const {
    NetworkSpec spec = GetParam().network();
    spec.backend = backend;
    return spec;
  }
  std::string TrainedOn(const std::string& backend) const {
    const MemoryBatchSource data = GetParam().data();
    const NetworkSpec spec = Spec(backend);
    const auto learner = Make(spec, data);
    Train(learner.get());
    return WeightBytes(*learner);
  }
};

TEST_P(DeviceTest, GivesTheSameBitsAgainAndWithoutRecording) {
  const std::string first = TrainedOn("cuda");
  EXPECT_TRUE(TrainedOn("cuda") == first);
  EXPECT_TRUE(TrainedOn("cuda/plain") == first);
}

TEST_P(DeviceTest, GivesTheSameBitsHoweverOftenItIsResumed) {
  const std::string whole = TrainedOn("cuda");
  const MemoryBatchSource data = GetParam().data();
  const NetworkSpec spec = Spec("cuda");
  std::unique_ptr<Learner> learner = Make(spec, data);
  while (!learner->done()) {
    Train(learner.get(), 2);
    std::string checkpoint;
    learner->Save(&checkpoint);
    learner = Make(spec, data);
    learner->Load(checkpoint);
  }
  EXPECT_TRUE(WeightBytes(*learner) == whole);
}

// Sums have other shapes on a GPU: rounding apart, the CPU's training, step by step.
TEST_P(DeviceTest, FollowsTheCpu) {
  const MemoryBatchSource data = GetParam().data();
  const NetworkSpec here = Spec("cpu");
  const NetworkSpec there = Spec("cuda");
  const auto expected = Make(here, data);
  const auto learner = Make(there, data);
  StepReport a;
  StepReport b;
  for (int step = 0; step < 6 && expected->Step(&a) && learner->Step(&b); ++step) {
    EXPECT_NEAR(b.loss, a.loss, 2e-3 * (1 + std::abs(a.loss))) << "step " << step;
  }
  const Evaluation expected_evaluation = expected->Evaluate(data);
  EXPECT_NEAR(learner->Evaluate(data).loss, expected_evaluation.loss,
              1e-2 * (1 + std::abs(expected_evaluation.loss)));
}

// Evaluations and predictions between steps change nothing, and see the step's weights.
TEST_P(DeviceTest, IsNotDisturbedByLookingAtIt) {
  const std::string whole = TrainedOn("cuda");
  const MemoryBatchSource data = GetParam().data();
  const NetworkSpec spec = Spec("cuda");
  const auto learner = Make(spec, data);
  StepReport report;
  double before = -1;
  while (learner->Step(&report)) {
    const double loss = learner->Evaluate(data).loss;
    EXPECT_NE(loss, before);
    before = loss;
    learner->Predict(data);
    learner->Weights();
  }
  EXPECT_TRUE(WeightBytes(*learner) == whole);
}

INSTANTIATE_TEST_SUITE_P(Families, DeviceTest, ::testing::ValuesIn(testing::Families()),
                         [](const auto& info) { return std::string(info.param.name); });

// Where there is no GPU, or no plugin.
TEST(DeviceAbsenceTest, IsSaidWithItsReason) {
  std::string message;
  try {
    FindBackend("cuda/tf32");
    GTEST_SKIP() << "there is a GPU";
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_THAT(message, ::testing::MatchesRegex(
                           "there is no backend \"cuda/tf32\" on this machine: (there is no "
                           "(libbeamline_cuda.so|GPU)|the CUDA plugin cannot be loaded).*"));
}

TEST(DeviceMemoryTest, IsRefusedWithFigures) {
  Device* device = nullptr;
  try {
    device = FindBackend("cuda").device;
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  std::string message;
  try {
    device->Allocate(int64_t{1} << 45);
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_THAT(message, ::testing::HasSubstr("MiB free of"));
  // And the device is as before.
  device->Free(device->Allocate(1 << 20));
}

}  // namespace
}  // namespace beamline::engine
