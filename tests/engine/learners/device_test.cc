// Whole trainings on a device: the same bits again, however they are run and resumed, and near
// those of the CPU. On a GPU they are skipped where there is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

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

// On a GPU, and on a device that is none (tests/engine/backend/emulated.cc).
class DeviceTest : public ::testing::TestWithParam<std::tuple<std::string, testing::Family>> {
 protected:
  void SetUp() override {
    try {
      FindBackend(Backend());
    } catch (const Error& error) {
      GTEST_SKIP() << error.what();
    }
  }
  const std::string& Backend() const { return std::get<0>(GetParam()); }
  MemoryBatchSource Data() const { return std::get<1>(GetParam()).data(); }
  NetworkSpec Spec(const std::string& backend) const {
    NetworkSpec spec = std::get<1>(GetParam()).network();
    spec.backend = backend;
    return spec;
  }
  std::string TrainedOn(const std::string& backend) const {
    const MemoryBatchSource data = Data();
    const NetworkSpec spec = Spec(backend);
    const auto learner = Make(spec, data);
    Train(learner.get());
    return WeightBytes(*learner);
  }
};

// Recording is a GPU's; the emulated kernels need no device.
TEST_P(DeviceTest, GivesTheSameBitsAgainAndWithoutRecording) {
  const std::string first = TrainedOn(Backend());
  EXPECT_TRUE(TrainedOn(Backend()) == first);
  EXPECT_TRUE(TrainedOn(Backend() == "cuda" ? "cuda/plain" : "cuda/emulated") == first);
}

TEST_P(DeviceTest, GivesTheSameBitsHoweverOftenItIsResumed) {
  const std::string whole = TrainedOn(Backend());
  const MemoryBatchSource data = Data();
  const NetworkSpec spec = Spec(Backend());
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

// The batch that waits for the next step belongs to where the training was.
TEST_P(DeviceTest, ForgetsTheBatchFedAheadWhenItGoesBack) {
  const std::string whole = TrainedOn(Backend());
  const MemoryBatchSource data = Data();
  const NetworkSpec spec = Spec(Backend());
  const auto learner = Make(spec, data);
  Train(learner.get(), 1);
  std::string checkpoint;
  learner->Save(&checkpoint);
  // To the same place of the next epoch, whose order is another.
  Train(learner.get(), learner->total_steps() / spec.epochs);
  learner->Load(checkpoint);
  Train(learner.get());
  EXPECT_TRUE(WeightBytes(*learner) == whole);
}

// Sums have other shapes on a GPU: rounding apart, the CPU's training, step by step.
TEST_P(DeviceTest, FollowsTheCpu) {
  const MemoryBatchSource data = Data();
  const NetworkSpec here = Spec("cpu");
  const NetworkSpec there = Spec(Backend());
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
  const std::string whole = TrainedOn(Backend());
  const MemoryBatchSource data = Data();
  const NetworkSpec spec = Spec(Backend());
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

// Averages of weights are made on the host, and change places with the device's for evaluations.
TEST_P(DeviceTest, AveragesWeights) {
  const MemoryBatchSource data = Data();
  const auto run = [&](const std::string& backend) {
    NetworkSpec spec = Spec(backend);
    spec.averaging.kind = AveragingKind::kExponential;
    spec.averaging.decay = 0.8;
    const auto learner = Make(spec, data, &data);
    const double validation_loss = Train(learner.get()).validation_loss;
    return std::pair(WeightBytes(*learner), validation_loss);
  };
  EXPECT_TRUE(run(Backend()) == run(Backend() == "cuda" ? "cuda/plain" : "cuda/emulated"));
}

// A row that cannot be fed is told of when it is its turn, though it is fed ahead.
TEST(FedAheadTest, AWrongRowFailsItsOwnStep) {
  MemoryBatch batch;
  batch.rows = 6;
  batch.layout.code_columns = 1;
  batch.layout.classes = 2;
  batch.codes = {0, 1, 2, 1, 0, 9};  // one is beyond the table
  batch.labels = {0, 1, 0, 1, 0, 1};
  const MemoryBatchSource data(std::move(batch));
  NetworkSpec spec;
  spec.layers.resize(2);
  spec.layers[0].kind = LayerKind::kEmbedding;
  spec.layers[0].units = 2;
  spec.layers[0].categories = {3};
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.batch_size = 1;
  spec.seed = 4;
  const auto steps = [&](const char* backend) {
    spec.backend = backend;
    const auto learner = Make(spec, data);
    StepReport report;
    int64_t done = 0;
    try {
      while (learner->Step(&report)) done = report.step;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("row 6, code column 1"));
      return done;
    }
    ADD_FAILURE() << "code 9 was taken";
    return done;
  };
  EXPECT_EQ(steps("cuda/fake"), steps("cpu"));
}

INSTANTIATE_TEST_SUITE_P(Families, DeviceTest,
                         ::testing::Combine(::testing::Values("cuda", "cuda/fake"),
                                            ::testing::ValuesIn(testing::Families())),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == "cuda" ? "gpu_"
                                                                                : "fake_") +
                                  std::get<1>(info.param).name;
                         });

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
