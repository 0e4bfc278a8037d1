// A generator learns a mixture of eight normal distributions around a circle, the standard test for
// generators that give up on parts of the data (Metz et al. 2017).
#include <gtest/gtest.h>

#include <string>

#include "tests/engine/learners/adversarial_data.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

AdversarialSpec RingPair(AdversarialLoss loss) {
  AdversarialSpec spec = testing::DensePair(loss);
  spec.latent = 2;
  const auto hidden = [](Activation activation) { return testing::Dense(64, activation); };
  spec.generator.layers = {hidden(Activation::kRelu), hidden(Activation::kRelu),
                           hidden(Activation::kRelu), testing::Dense(0, Activation::kLinear)};
  spec.discriminator.layers = {hidden(Activation::kTanh), hidden(Activation::kTanh),
                               hidden(Activation::kTanh), testing::Dense(0, Activation::kLinear)};
  for (NetworkSpec* network : {&spec.generator, &spec.discriminator}) {
    network->optimizer.learning_rate = 0.002;
    network->optimizer.beta2 = 0.9;
  }
  spec.batch_size = 128;
  return spec;
}

// As many samples as there are rows: before the training they are all over the place.
void ExpectAllModes(const AdversarialSpec& spec) {
  const MemoryBatchSource data = testing::Ring(8192, 1);
  const auto learner = testing::Make(spec, data);
  const testing::RingCover before = testing::CoverOf(learner->Predict(data).outputs);
  EXPECT_LT(before.modes, testing::kModes);
  EXPECT_LT(before.good_share, 0.2);
  testing::Train(learner.get());
  const testing::RingCover after = testing::CoverOf(learner->Predict(data).outputs);
  EXPECT_EQ(after.modes, testing::kModes);
  EXPECT_GE(after.good_share, 0.9);
  ::testing::Test::RecordProperty("share_within_four_deviations", std::to_string(after.good_share));
}

TEST(RingTest, IsCoveredByTheLossThatDoesNotSaturate) {
  AdversarialSpec spec = RingPair(AdversarialLoss::kNonSaturating);
  // A little of it keeps the two from running in circles.
  spec.gradient_penalty = 0.02;
  spec.epochs = 46;
  ExpectAllModes(spec);
}

TEST(RingTest, IsCoveredByWassersteinWithAGradientPenalty) {
  AdversarialSpec spec = RingPair(AdversarialLoss::kWasserstein);
  spec.gradient_penalty = 0.1;
  spec.discriminator_steps = 2;
  spec.generator.optimizer.learning_rate = 0.004;
  spec.generator.schedule.kind = spec.discriminator.schedule.kind = ScheduleKind::kCosine;
  spec.epochs = 62;
  ExpectAllModes(spec);
}

}  // namespace
}  // namespace beamline::engine
