// Families whose own tests stop at their ops: the same model for any number of threads and any
// instruction set, in one go or stopped and resumed at every step.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "tests/engine/learners/families.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Family;

class FamilyBitsTest : public ::testing::TestWithParam<Family> {};

TEST_P(FamilyBitsTest, DependOnNeitherThreadsNorInstructionSet) {
  const MemoryBatchSource data = GetParam().data();
  NetworkSpec spec = GetParam().network();
  std::string expected;
  for (const std::string_view backend : AvailableBackends()) {
    if (!backend.starts_with("cpu")) continue;
    for (const int threads : {1, 2, 3, 4, 8}) {
      spec.backend = backend;
      spec.threads = threads;
      const auto learner = testing::Make(spec, data);
      testing::Train(learner.get());
      if (expected.empty()) expected = testing::WeightBytes(*learner);
      EXPECT_EQ(testing::WeightBytes(*learner) == expected, true) << backend << ", " << threads;
    }
  }
}

TEST_P(FamilyBitsTest, AreTheSameHoweverOftenItIsResumed) {
  const MemoryBatchSource data = GetParam().data();
  const NetworkSpec spec = GetParam().network();
  const auto whole = testing::Make(spec, data);
  testing::Train(whole.get());
  std::unique_ptr<Learner> learner = testing::Make(spec, data);
  while (!learner->done()) {
    testing::Train(learner.get(), 1);
    std::string checkpoint;
    learner->Save(&checkpoint);
    learner = testing::Make(spec, data);
    learner->Load(checkpoint);
  }
  EXPECT_EQ(learner->step(), whole->step());
  EXPECT_EQ(testing::WeightBytes(*learner) == testing::WeightBytes(*whole), true);
}

INSTANTIATE_TEST_SUITE_P(
    Families, FamilyBitsTest,
    ::testing::Values(Family{"convolutional", testing::Convolutional, testing::LabelledImages},
                      Family{"capsules", testing::Capsules, testing::LabelledImages},
                      Family{"masked", testing::Masked, testing::FamilyTokens},
                      Family{"memory", testing::Memories, testing::LabelledSteps},
                      Family{"translation", testing::Translator, testing::FamilyTexts},
                      Family{"recurrent_translation", testing::RecurrentTranslator,
                             testing::FamilyTexts},
                      Family{"variational", testing::Variational, testing::PlainImages}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace beamline::engine
