// Networks whose target is their own features.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/learners/registry.h"
#include "engine/nn/network.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

NetworkSpec Autoencoder() {
  NetworkSpec spec;
  spec.objective = Objective::kReconstruct;
  spec.layers.resize(2);
  spec.layers[0].units = 1;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.02;
  spec.epochs = 30;
  return spec;
}

// Rows (t, 2 t, -t) with some noise: one number says it all.
MemoryBatchSource Line(int64_t rows) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 3;
  for (int64_t i = 0; i < rows; ++i) {
    const auto t = static_cast<float>(std::sin(static_cast<double>(7 * i)));
    batch.features.insert(batch.features.end(), {t, 2 * t, -t});
  }
  return MemoryBatchSource(std::move(batch));
}

TEST(ReconstructTest, LearnsItsFeatures) {
  const MemoryBatchSource data = Line(300);
  for (const char* backend : {"cpu", "reference"}) {
    NetworkSpec spec = Autoencoder();
    spec.backend = backend;
    const auto learner = MakeLearner(
        "network",
        {.network = &spec, .layout = data.layout(), .training = &data, .validation = nullptr});
    const double before = learner->Evaluate(data).loss;
    StepReport report;
    while (learner->Step(&report)) {
    }
    const double after = learner->Evaluate(data).loss;
    EXPECT_LT(after, before / 100);
    // The loss is the mean over rows and features of the squared difference.
    const Predictions made = learner->Predict(data);
    ASSERT_EQ(made.probabilities.shape(), Shape({300, 3}));
    std::vector<float> features(900);
    std::vector<int64_t> rows(300);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    data.Gather(rows, {.features = features.data()});
    double sum = 0;
    for (size_t i = 0; i < features.size(); ++i) {
      sum += std::pow(made.probabilities.values<float>()[i] - features[i], 2);
    }
    EXPECT_NEAR(sum / 900, after, 1e-6);
  }
}

TEST(ReconstructTest, SaysWhatDoesNotFit) {
  BatchLayout layout;
  layout.features = 3;
  const auto error = [&](const NetworkSpec& spec) {
    try {
      BuildNetwork(spec, layout, 4, NetworkMode::kTraining);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  NetworkSpec spec = Autoencoder();
  EXPECT_EQ(error(spec), "");
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  EXPECT_EQ(error(spec), "");
  spec.loss.kind = LossKind::kCrossEntropy;
  EXPECT_THAT(error(spec), ::testing::HasSubstr("reconstruct"));
  spec = Autoencoder();
  spec.layers[1].units = 2;
  EXPECT_THAT(error(spec), ::testing::HasSubstr("set its units to 3"));
  layout.features = 0;
  layout.code_columns = 2;
  EXPECT_THAT(error(Autoencoder()), ::testing::HasSubstr("features"));
}

TEST(ReconstructTest, ObjectiveIsPartOfTheFingerprint) {
  BatchLayout layout;
  layout.features = 3;
  NetworkSpec spec = Autoencoder();
  const uint64_t reconstructs = Fingerprint(spec, layout);
  spec.objective = Objective();
  EXPECT_NE(Fingerprint(spec, layout), reconstructs);
}

}  // namespace
}  // namespace beamline::engine
