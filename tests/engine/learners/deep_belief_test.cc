#include "engine/learners/deep_belief.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "tests/engine/learners/classic.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

MemoryBatch Shares(int64_t rows, bool classes) {
  MemoryBatch batch = testing::Blobs(rows, 6, 3, 4);
  for (float& x : batch.features) x = 1 / (1 + std::exp(-x));
  batch.layout.classes = classes ? 3 : 0;
  batch.layout.targets = classes ? 0 : 1;
  for (int64_t row = 0; row < rows; ++row) {
    if (classes) {
      batch.labels.push_back(static_cast<int32_t>(row % 3));
    } else {
      batch.targets.push_back(static_cast<float>(row % 3) - 1);
    }
  }
  return batch;
}

TEST(DeepBeliefTest, KeepsItsPromises) {
  for (const bool classes : {true, false}) {
    MemoryBatch batch = Shares(70, classes);
    batch.layout.steps = classes ? 0 : 3;
    const MemoryBatchSource data(batch);
    testing::ExpectToHold(
        [](const LearnerData& on, int threads) {
          DeepBeliefSpec spec;
          spec.hidden = {9, 5};
          spec.pretraining_epochs = 2;
          spec.epochs = 3;
          spec.batch_size = 20;
          spec.threads = threads;
          return MakeDeepBelief(spec, on);
        },
        data, &data);
  }
}

TEST(DeepBeliefTest, CountsStepsOfMachinesAndNetworkAndEpochsOfTheNetwork) {
  const MemoryBatchSource data(Shares(70, true));
  DeepBeliefSpec spec;
  spec.hidden = {9, 5};
  spec.pretraining_epochs = 2;
  spec.epochs = 3;
  const auto learner = MakeDeepBelief(spec, {data.layout(), &data});
  EXPECT_EQ(learner->total_steps(), 2 * 2 * 3 + 3 * 3);
  const std::vector<StepReport> reports = testing::TrainFully(learner.get());
  ASSERT_EQ(reports.size(), 21);
  for (size_t i = 0; i < reports.size(); ++i) {
    EXPECT_EQ(reports[i].step, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(reports[i].epoch_end, i == 14 || i == 17 || i == 20);
  }
  EXPECT_EQ(reports.back().epoch, 2);
  EXPECT_EQ(reports.back().examples_seen, 70 * 7);
}

// What the machines learned is what the network begins with.
TEST(DeepBeliefTest, MachinesBecomeLayers) {
  const MemoryBatchSource data(Shares(70, true));
  DeepBeliefSpec spec;
  spec.hidden = {9, 5};
  spec.pretraining_epochs = 2;
  const auto learner = MakeDeepBelief(spec, {data.layout(), &data});
  const std::vector<NamedTensor> before = learner->Weights();
  StepReport report;
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(learner->Step(&report));
  const std::vector<NamedTensor> after = learner->Weights();
  for (size_t i = 0; i < after.size(); ++i) {
    const std::span<const float> a = before[i].tensor.values<float>();
    const std::span<const float> b = after[i].tensor.values<float>();
    const bool same = std::equal(a.begin(), a.end(), b.begin());
    EXPECT_EQ(same, after[i].name.starts_with("output")) << after[i].name;
  }
}

// Every fifth row of semeion is held back; three hidden layers of sigmoid units learn little in so
// few passes, but not if they begin as machines.
TEST(DeepBeliefTest, BeatsTheSameNetworkFromRandomWeights) {
  const std::string folder = testing::DatasetFolder("semeion");
  if (folder.empty()) GTEST_SKIP() << "data set semeion not found: set BEAMLINE_DATASETS";
  std::ifstream file(folder + "/semeion.txt");
  MemoryBatch parts[2];
  std::string pixels;
  int32_t digit = 0;
  for (int i = 0; file >> pixels >> digit; ++i) {
    MemoryBatch& part = parts[i % 5 == 0 ? 1 : 0];
    part.layout.features = 256;
    part.layout.classes = 10;
    ++part.rows;
    for (const char pixel : pixels) part.features.push_back(pixel == '1' ? 1.0f : 0.0f);
    part.labels.push_back(digit);
  }
  const MemoryBatchSource training(parts[0]), test(parts[1]);
  const auto accuracy = [&](int64_t pretraining) {
    DeepBeliefSpec spec;
    spec.hidden = {100, 100, 100};
    spec.pretraining_epochs = pretraining;
    spec.epochs = 5;
    spec.threads = 2;
    const auto learner = MakeDeepBelief(spec, {training.layout(), &training});
    testing::TrainFully(learner.get());
    const Predictions made = learner->Predict(test);
    double right = 0;
    for (size_t row = 0; row < parts[1].labels.size(); ++row) {
      const auto p = made.probabilities.values<float>().subspan(10 * row, 10);
      right += std::max_element(p.begin(), p.end()) - p.begin() == parts[1].labels[row] ? 1 : 0;
    }
    return right / static_cast<double>(parts[1].labels.size());
  };
  const double random = accuracy(0);
  const double pretrained = accuracy(20);
  RecordProperty("random", std::to_string(random));
  RecordProperty("pretrained", std::to_string(pretrained));
  EXPECT_GT(pretrained, random + 0.04);
  EXPECT_GT(pretrained, 0.85);
}

}  // namespace
}  // namespace beamline::engine
