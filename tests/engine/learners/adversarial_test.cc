// Adversarial training: what a step does to whom, what is kept, what is refused, and that it learns
// all modes of a mixture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/learners/adversarial_runner.h"
#include "tests/engine/learners/adversarial_data.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using ::testing::AllOf;
using testing::DensePair;
using ::testing::HasSubstr;
using testing::Ring;

LayerSpec Norm() {
  LayerSpec layer;
  layer.kind = LayerKind::kBatchNorm;
  return layer;
}

std::string BytesOf(const Variables& variables, std::string_view prefix) {
  std::string bytes;
  for (const auto& [name, variable] : variables.all()) {
    if (!name.starts_with(prefix)) continue;
    bytes.append(reinterpret_cast<const char*>(variable.tensor.raw()),
                 static_cast<size_t>(variable.tensor.size_bytes()));
  }
  return bytes;
}

std::vector<int64_t> FirstRows(int64_t count) {
  std::vector<int64_t> rows(static_cast<size_t>(count));
  std::iota(rows.begin(), rows.end(), int64_t{0});
  return rows;
}

TEST(AdversarialStepTest, ChangesItsOwnNetworkAlone) {
  const MemoryBatchSource data = Ring(64, 1);
  AdversarialSpec spec = DensePair(AdversarialLoss::kHinge);
  spec.generator.layers.insert(spec.generator.layers.begin() + 1, Norm());
  spec.discriminator.layers.insert(spec.discriminator.layers.begin() + 1, Norm());
  Variables variables;
  ThreadPool pool(1);
  const auto make = [&](AdversarialMode mode) {
    return AdversarialRunner(spec, data.layout(), 64, mode, LatentSource::kDrawn, &variables,
                             &pool);
  };
  AdversarialRunner discriminator = make(AdversarialMode::kDiscriminatorStep);
  AdversarialRunner generator = make(AdversarialMode::kGeneratorStep);
  const std::string of_generator = BytesOf(variables, kGeneratorPrefix);
  const std::string of_discriminator = BytesOf(variables, kDiscriminatorPrefix);
  discriminator.Feed(data, FirstRows(64));
  discriminator.SetUpdate(UpdateNumbers(spec.discriminator.optimizer, 0.01, 0));
  discriminator.Run(0);
  EXPECT_EQ(BytesOf(variables, kGeneratorPrefix) == of_generator, true);
  const std::string moved = BytesOf(variables, kDiscriminatorPrefix);
  EXPECT_EQ(moved == of_discriminator, false);
  generator.SetUpdate(UpdateNumbers(spec.generator.optimizer, 0.01, 0));
  generator.Run(1);
  EXPECT_EQ(BytesOf(variables, kDiscriminatorPrefix) == moved, true);
  EXPECT_EQ(BytesOf(variables, kGeneratorPrefix) == of_generator, false);
}

// By real rows, then by generated ones: two updates with the momentum of the layer.
TEST(AdversarialStepTest, NormalisesRealAndGeneratedRowsApart) {
  MemoryBatch batch;
  batch.rows = 4;
  batch.layout.features = 1;
  batch.features = {1, 2, 3, 6};
  const MemoryBatchSource data(std::move(batch));
  AdversarialSpec spec = DensePair(AdversarialLoss::kLeastSquares);
  spec.latent = 1;
  spec.generator.layers = {testing::Dense(1, Activation::kLinear)};
  spec.discriminator.layers = {Norm(), testing::Dense(1, Activation::kLinear)};
  Variables variables;
  AdversarialRunner runner(spec, data.layout(), 4, AdversarialMode::kDiscriminatorStep,
                           LatentSource::kGiven, &variables, nullptr);
  variables.Get("generator/layer0.weight").values<float>()[0] = 2;
  runner.Feed(data, FirstRows(4));
  runner.SetLatent(std::vector<float>{0, 0, 4, 4}, {});  // generates 0, 0, 8, 8
  runner.SetUpdate(UpdateNumbers(spec.discriminator.optimizer, 0.01, 0));
  runner.Run(0);
  const float mean = variables.Get("discriminator/layer0.running_mean").values<float>()[0];
  EXPECT_FLOAT_EQ(mean, 0.9f * (0.1f * 3) + 0.1f * 4);
}

// A linear discriminator gives 0 for rows of zeros, so that its loss is the mean of what it says of
// the generated rows; the generator's is minus that of others.
TEST(AdversarialLearnerTest, TheGeneratorLearnsFromRowsOfItsOwn) {
  MemoryBatch zeros;
  zeros.rows = 32;
  zeros.layout.features = 2;
  zeros.features.assign(64, 0);
  const MemoryBatchSource data(std::move(zeros));
  AdversarialSpec spec = DensePair(AdversarialLoss::kWasserstein);
  spec.gradient_penalty = 1;
  spec.discriminator_steps = 1;
  spec.batch_size = 32;
  spec.epochs = 5;
  spec.discriminator.layers = {testing::Dense(1, Activation::kLinear)};
  for (NetworkSpec* network : {&spec.generator, &spec.discriminator}) {
    network->optimizer = OptimizerSpec();
    network->optimizer.learning_rate = 1e-30;
  }
  const auto learner = testing::Make(spec, data);
  double before = 0;
  for (StepReport report; learner->Step(&report);) {
    EXPECT_GT(std::abs(report.main_loss + report.generator_loss), 1e-4);
    EXPECT_GT(std::abs(report.main_loss - before), 1e-4);
    before = report.main_loss;
  }
  EXPECT_EQ(learner->step(), 5);
}

TEST(AdversarialLearnerTest, CountsStepsAndUpdatesOfTheGenerator) {
  const MemoryBatchSource data = Ring(150, 1);
  AdversarialSpec spec = DensePair(AdversarialLoss::kNonSaturating);
  spec.discriminator_steps = 2;
  const auto learner = testing::Make(spec, data, &data);
  EXPECT_EQ(learner->total_steps(), 6);
  std::string before = testing::WeightBytes(*learner);
  for (int64_t step = 1; step <= 6; ++step) {
    StepReport report;
    ASSERT_TRUE(learner->Step(&report));
    EXPECT_EQ(report.step, step);
    EXPECT_EQ(report.epoch_end, step % 3 == 0);
    EXPECT_EQ(std::isnan(report.generator_loss), step == 1);
    const std::string after = testing::WeightBytes(*learner);
    EXPECT_EQ(after != before, step % 2 == 0) << step;
    before = after;
    if (!report.epoch_end) continue;
    EXPECT_NEAR(report.validation_loss, 1.39, 0.3);  // 2 log 2: it cannot tell them apart yet
    EXPECT_EQ(report.validation_loss, learner->Evaluate(data).loss);
  }
  StepReport report;
  EXPECT_FALSE(learner->Step(&report));
  EXPECT_TRUE(learner->done());
}

TEST(AdversarialLearnerTest, GeneratesWithoutADiscriminator) {
  const MemoryBatchSource data = Ring(150, 1);
  const AdversarialSpec spec = DensePair(AdversarialLoss::kNonSaturating);
  const auto trained = testing::Make(spec, data);
  testing::Train(trained.get());
  for (const NamedTensor& weight : trained->Weights()) {
    EXPECT_THAT(weight.name, ::testing::StartsWith("generator/"));
  }
  const auto generator = testing::MakeGenerator(spec, data.layout());
  EXPECT_LT(generator->PeakBytes(), trained->PeakBytes() / 2);
  generator->SetWeights(trained->Weights());
  const Predictions expected = trained->Predict(data);
  const Predictions samples = generator->Predict(data);
  ASSERT_EQ(samples.outputs.shape(), Shape({150, 2}));
  const std::span<const float> all = samples.outputs.values<float>();
  EXPECT_TRUE(std::equal(all.begin(), all.end(), expected.outputs.values<float>().begin()));
  // A row's number decides its sample, whatever else is asked for.
  const std::vector<int64_t> some = {149, 3};
  const Predictions two = generator->Predict(data, some);
  EXPECT_EQ(two.outputs.values<float>()[0], all[298]);
  EXPECT_EQ(two.outputs.values<float>()[3], all[7]);
  EXPECT_NE(all[0], all[2]);
  EXPECT_THROW(generator->Evaluate(data), Error);
  StepReport report;
  EXPECT_THROW(generator->Step(&report), Error);
}

// In batches, the last of which is padded, it is the same as in one; padding counts for nothing.
TEST(AdversarialLearnerTest, EvaluatesRowsAsTheirMean) {
  MemoryBatch batch;
  batch.rows = 1300;
  batch.layout.features = 2;
  batch.layout.has_weights = true;
  for (int64_t i = 0; i < 1300; ++i) {
    batch.features.insert(batch.features.end(), {static_cast<float>(i % 7), 1.0f});
    batch.weights.push_back(i % 3 == 0 ? 2.0f : 0.5f);
  }
  const MemoryBatchSource data(std::move(batch));
  const AdversarialSpec spec = DensePair(AdversarialLoss::kWasserstein);
  Variables variables;
  AdversarialRunner whole(spec, data.layout(), 1300, AdversarialMode::kEvaluation,
                          LatentSource::kGiven, &variables, nullptr);
  whole.Feed(data, FirstRows(1300));
  whole.DrawLatent(FirstRows(1300));
  whole.Run(0);
  const Evaluation evaluation = testing::Make(spec, data)->Evaluate(data);
  EXPECT_NEAR(evaluation.loss, whole.loss(), 1e-5);
  EXPECT_EQ(evaluation.weight_sum, 434 * 2 + 866 * 0.5);
  EXPECT_EQ(evaluation.rows, 1300);
}

std::string ErrorOf(const std::function<void(AdversarialSpec&)>& change) {
  const MemoryBatchSource data = Ring(64, 1);
  AdversarialSpec spec = DensePair(AdversarialLoss::kWasserstein);
  change(spec);
  try {
    testing::Make(spec, data);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(AdversarialLearnerTest, SaysWhatToChange) {
  EXPECT_EQ(ErrorOf([](AdversarialSpec&) {}), "no error");
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.gradient_penalty = 0; }),
              HasSubstr("set gradient_penalty"));
  EXPECT_THAT(
      ErrorOf([](auto& spec) { spec.discriminator.layers[0] = Norm(); }),
      AllOf(HasSubstr("\"discriminator/layer0\""), HasSubstr("twice"), HasSubstr("remove it")));
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.generator.layers[2].units = 3; }),
              HasSubstr("but a row has 2 features"));
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.discriminator.layers[2].units = 3; }),
              HasSubstr("dense layer of 1 unit"));
  EXPECT_THAT(
      ErrorOf([](auto& spec) { spec.discriminator.layers[2].activation = Activation::kSigmoid; }),
      HasSubstr("set its activation to linear"));
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.generator.layers[1].inputs = {"codes"}; }),
              AllOf(HasSubstr("\"generator/layer1\""), HasSubstr("take \"features\"")));
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.latent = 0; }), HasSubstr("latent"));
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.discriminator_steps = 0; }),
              HasSubstr("discriminator_steps"));
  EXPECT_THAT(ErrorOf([](auto& spec) { spec.generator.early_stopping.patience = 3; }),
              HasSubstr("the generator has"));
  EXPECT_THAT(
      ErrorOf([](auto& spec) { spec.discriminator.schedule.kind = ScheduleKind::kPlateau; }),
      HasSubstr("choose another schedule"));
}

// A single network would make it ever smaller.
TEST(AdversarialLearnerTest, AloneHasTheLossOfACritic) {
  const MemoryBatchSource data = Ring(64, 1);
  NetworkSpec spec;
  spec.layers = {testing::Dense(1, Activation::kLinear)};
  spec.loss.kind = LossKind::kWasserstein;
  try {
    testing::Make(spec, data);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("it is for the critic"));
  }
}

TEST(AdversarialLearnerTest, RefusesOtherCheckpoints) {
  const MemoryBatchSource data = Ring(64, 1);
  AdversarialSpec spec = DensePair(AdversarialLoss::kHinge);
  std::string bytes;
  testing::Make(spec, data)->Save(&bytes);
  spec.discriminator_steps = 2;
  EXPECT_THROW(testing::Make(spec, data)->Load(bytes), Error);
  spec.discriminator_steps = 1;
  const auto learner = testing::Make(spec, data);
  learner->Load(bytes);
  bytes[bytes.size() / 2] ^= 1;
  EXPECT_THROW(learner->Load(bytes), Error);
}

}  // namespace
}  // namespace beamline::engine
