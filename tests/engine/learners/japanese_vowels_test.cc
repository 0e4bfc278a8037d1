// Nine speakers told apart by one vowel each time: sequences of 7 to 29 steps of 12 numbers (Kudo,
// Toyama, Shimbo 1999). JapaneseVowels_TRAIN.csv and _TEST.csv are in long form
// (seq,t,c1..c12,label); skipped without them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

constexpr int64_t kChannels = 12;
constexpr int64_t kSteps = 29;
constexpr int64_t kClasses = 9;

MemoryBatch Read(const std::string& path) {
  MemoryBatch batch;
  batch.layout.features = kSteps * kChannels;
  batch.layout.classes = kClasses;
  batch.layout.has_lengths = true;
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  int64_t last = -1;
  while (std::getline(file, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    int64_t sequence = 0;
    size_t step = 0;
    fields >> sequence >> step;
    if (sequence != last) {
      last = sequence;
      ++batch.rows;
      batch.features.resize(static_cast<size_t>(batch.rows * kSteps * kChannels));
      batch.lengths.push_back(0);
      batch.labels.push_back(0);
    }
    const size_t row = static_cast<size_t>(batch.rows - 1);
    for (size_t c = 0; c < kChannels; ++c) {
      fields >> batch.features[(row * kSteps + step) * kChannels + c];
    }
    batch.lengths.back() = std::max(batch.lengths.back(), static_cast<int32_t>(step) + 1);
    int32_t label = 0;
    fields >> label;
    batch.labels.back() = label - 1;
  }
  return batch;
}

// Mean 0 and variance 1 for each channel, by the training rows' steps.
void Standardise(const MemoryBatch& training, MemoryBatch* batch) {
  std::array<double, kChannels> mean{}, square{};
  double steps = 0;
  const auto at = [](int64_t row, int64_t step, size_t channel) {
    return static_cast<size_t>((row * kSteps + step) * kChannels) + channel;
  };
  for (int64_t row = 0; row < training.rows; ++row) {
    const int64_t length = training.lengths[static_cast<size_t>(row)];
    steps += static_cast<double>(length);
    for (int64_t step = 0; step < length; ++step) {
      for (size_t c = 0; c < kChannels; ++c) {
        const double x = training.features[at(row, step, c)];
        mean[c] += x;
        square[c] += x * x;
      }
    }
  }
  for (size_t i = 0; i < batch->features.size(); ++i) {
    const size_t c = i % kChannels;
    const double m = mean[c] / steps;
    batch->features[i] =
        static_cast<float>((batch->features[i] - m) / std::sqrt(square[c] / steps - m * m));
  }
}

TEST(JapaneseVowelsTest, AGruTellsTheSpeakersApart) {
  const std::string folder = testing::DatasetFolder("japanese_vowels");
  if (folder.empty()) GTEST_SKIP() << "data set japanese_vowels not found: set BEAMLINE_DATASETS";
  const std::string base = folder + "/JapaneseVowels_";
  MemoryBatch training = Read(base + "TRAIN.csv");
  MemoryBatch test = Read(base + "TEST.csv");
  ASSERT_EQ(training.rows, 270);
  ASSERT_EQ(test.rows, 370);
  EXPECT_EQ(*std::max_element(test.lengths.begin(), test.lengths.end()), kSteps);
  Standardise(training, &test);
  const MemoryBatch raw = training;
  Standardise(raw, &training);

  NetworkSpec spec;
  spec.layers.resize(4);
  spec.layers[0].kind = LayerKind::kReshape;
  spec.layers[0].shape = {kSteps, kChannels};
  spec.layers[1].kind = LayerKind::kGru;
  spec.layers[1].units = 64;
  spec.layers[1].bidirectional = true;
  spec.layers[2].kind = LayerKind::kDropout;
  spec.layers[2].rate = 0.5;
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.loss.label_smoothing = 0.1;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.003;
  spec.schedule.kind = ScheduleKind::kCosine;
  spec.clip_norm = 1;
  spec.batch_size = 30;
  spec.epochs = 60;
  spec.threads = 2;
  const MemoryBatchSource source(training);
  const auto learner = testing::Make(spec, source);
  testing::Train(learner.get());
  const Predictions predictions = learner->Predict(MemoryBatchSource(test));
  const std::span<const float> p = predictions.outputs.values<float>();
  int right = 0;
  for (size_t i = 0; i < test.labels.size(); ++i) {
    const auto row = p.subspan(i * kClasses, kClasses);
    right += std::max_element(row.begin(), row.end()) - row.begin() == test.labels[i] ? 1 : 0;
  }
  const double accuracy = right / 370.0;
  RecordProperty("accuracy", std::to_string(accuracy));
  EXPECT_GE(accuracy, 0.975);
}

}  // namespace
}  // namespace beamline::engine
