#include "tests/engine/learners/classic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine::testing {
namespace {

void Append(const Tensor& tensor, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(tensor.raw()),
                static_cast<size_t>(tensor.size_bytes()));
}

std::string PredictionBytes(Learner* learner, const BatchSource& source) {
  const Predictions made = learner->Predict(source);
  std::string bytes;
  for (const Tensor* tensor : {&made.outputs, &made.probabilities, &made.row_losses, &made.codes}) {
    for (const float value : tensor->values<float>()) EXPECT_FALSE(std::isnan(value));
    Append(*tensor, &bytes);
  }
  Append(made.clusters, &bytes);
  return bytes;
}

}  // namespace

std::vector<StepReport> TrainFully(Learner* learner) {
  std::vector<StepReport> reports;
  StepReport report;
  while (learner->Step(&report)) reports.push_back(report);
  return reports;
}

std::string ErrorOf(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void ExpectToHold(const MakeClassic& make, const BatchSource& training,
                  const BatchSource* validation) {
  const LearnerData data{training.layout(), &training, validation};
  std::string weights, said;
  std::vector<NamedTensor> given;
  for (const int threads : {1, 2, 3, 4, 8}) {
    const std::unique_ptr<Learner> learner = make(data, threads);
    const std::vector<StepReport> reports = TrainFully(learner.get());
    ASSERT_FALSE(reports.empty());
    EXPECT_TRUE(reports.back().epoch_end);
    EXPECT_TRUE(std::isfinite(reports.back().training_loss));
    EXPECT_EQ(std::isnan(reports.back().validation_loss), validation == nullptr);
    EXPECT_EQ(reports.back().step, learner->step());
    const std::string own = WeightBytes(*learner);
    EXPECT_GE(learner->PeakBytes(), static_cast<int64_t>(own.size() / 2));
    if (threads == 1) {
      weights = own;
      said = PredictionBytes(learner.get(), training);
      given = learner->Weights();
    }
    EXPECT_EQ(own == weights, true) << threads << " threads";
    EXPECT_EQ(PredictionBytes(learner.get(), training) == said, true) << threads << " threads";
  }
  std::unique_ptr<Learner> resumed = make(data, 2);
  std::string checkpoint;
  StepReport report;
  while (resumed->Step(&report)) {
    resumed->Save(&checkpoint);
    resumed = make(data, 3);
    resumed->Load(checkpoint);
  }
  EXPECT_EQ(WeightBytes(*resumed) == weights, true) << "resumed";
  std::string damaged = checkpoint;
  damaged[damaged.size() / 2] ^= 1;
  EXPECT_NE(ErrorOf([&] { resumed->Load(damaged); }), "");

  const std::unique_ptr<Learner> only = make({training.layout()}, 2);
  EXPECT_TRUE(only->done());
  EXPECT_NE(ErrorOf([&] { only->Step(&report); }), "");
  only->SetWeights(given);
  EXPECT_EQ(PredictionBytes(only.get(), training) == said, true) << "weights given";
  std::vector<NamedTensor> fewer = resumed->Weights();
  fewer.pop_back();
  EXPECT_NE(ErrorOf([&] { only->SetWeights(fewer); }), "");
  EXPECT_EQ(PredictionBytes(only.get(), training) == said, true) << "after refused weights";
}

MemoryBatch Blobs(int64_t rows, int64_t features, int64_t centres, uint64_t seed) {
  const Philox random(seed, 77);
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = features;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < features; ++k) {
      const auto centre = static_cast<uint64_t>((row % centres) * features + k);
      const auto at = static_cast<uint64_t>(row * features + k);
      batch.features.push_back(
          k + 1 == features ? 3.0f : 4 * random.Normal(centre) + random.Normal(1'000'000 + at));
    }
  }
  return batch;
}

MemoryBatch Waves(int64_t rows, int64_t features, double salt) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = features;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < features; ++column) {
      const auto i = static_cast<double>(row);
      const auto k = static_cast<double>(column);
      const double x = std::sin(1.7 * i + 2.3 * k + salt) * (1 + k) +
                       static_cast<double>((row * 7) % 5) * std::cos(k + salt);
      batch.features.push_back(static_cast<float>(std::nearbyint(x * 1024) / 1024));
    }
  }
  return batch;
}

void ExpectNear(std::span<const float> values, const std::vector<double>& expected,
                double tolerance) {
  ASSERT_GE(values.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(values[i]), expected[i], tolerance) << "element " << i;
  }
}

std::vector<double> Recorded(const std::string& name) {
  for (const char* file : {"classic_reference.txt", "word_vectors_reference.txt"}) {
    std::ifstream in(std::string(BEAMLINE_SOURCE_DIR "/tests/engine/learners/") + file);
    std::string line;
    while (std::getline(in, line)) {
      std::istringstream words(line);
      std::string first;
      words >> first;
      if (first != name) continue;
      std::vector<double> values;
      for (double value; words >> value;) values.push_back(value);
      return values;
    }
  }
  ADD_FAILURE() << "no reference has " << name;
  return {};
}

}  // namespace beamline::engine::testing
