// A restricted Boltzmann machine on the images of MNIST, beside BernoulliRBM of scikit-learn:
// persistent chains, 256 hidden units, pixels above a half, 10 passes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/learners/network_learner.h"
#include "engine/learners/restricted_boltzmann.h"
#include "tests/engine/learners/classic.h"
#include "tests/engine/learners/mnist_images.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

constexpr int64_t kHidden = 256;

std::vector<int32_t> ReadLabels(const std::string& name, int64_t rows) {
  const std::string command = "gzip -dc '" + testing::MnistFolder() + "/" + name + "'";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::vector<unsigned char> bytes(static_cast<size_t>(8 + rows));
  const size_t read = std::fread(bytes.data(), 1, bytes.size(), pipe);
  pclose(pipe);
  if (read != bytes.size()) return {};
  return {bytes.begin() + 8, bytes.end()};
}

MemoryBatchSource Bits(std::vector<float> pixels) {
  for (float& pixel : pixels) pixel = pixel > 0.5f ? 1.0f : 0.0f;
  return testing::SourceOf(pixels);
}

// Hidden probabilities of rows with their labels.
MemoryBatchSource Coded(Learner* machine, const BatchSource& images,
                        const std::vector<int32_t>& labels) {
  MemoryBatch batch;
  batch.rows = images.rows();
  batch.layout.features = kHidden;
  batch.layout.classes = 10;
  const Predictions made = machine->Predict(images);
  const std::span<const float> codes = made.codes.values<float>();
  batch.features.assign(codes.begin(), codes.end());
  batch.labels = labels;
  return MemoryBatchSource(std::move(batch));
}

TEST(MnistMachineTest, CodesTellDigitsApartAsThoseOfScikitLearn) {
  if (testing::MnistFolder().empty()) GTEST_SKIP() << "data set mnist not found";
  const MemoryBatchSource training = Bits(testing::ReadImages("train-images-idx3-ubyte.gz", 60000));
  const MemoryBatchSource test = Bits(testing::ReadImages("t10k-images-idx3-ubyte.gz", 10000));
  const std::vector<int32_t> labels = ReadLabels("train-labels-idx1-ubyte.gz", 60000);
  const std::vector<int32_t> truth = ReadLabels("t10k-labels-idx1-ubyte.gz", 10000);
  RestrictedBoltzmannSpec spec;
  spec.hidden = kHidden;
  spec.persistent = true;
  spec.learning_rate = 0.05;
  spec.batch_size = 100;
  spec.threads = 2;
  const auto machine = MakeRestrictedBoltzmann(spec, {training.layout(), &training});
  testing::TrainFully(machine.get());
  const double error = machine->Evaluate(test).loss;
  RecordProperty("reconstruction", std::to_string(error));
  EXPECT_LE(error, 0.03);  // 0.0247 there

  const MemoryBatchSource coded = Coded(machine.get(), training, labels);
  const MemoryBatchSource asked = Coded(machine.get(), test, truth);
  NetworkSpec softmax;
  softmax.layers.resize(1);
  softmax.loss.kind = LossKind::kCrossEntropy;
  softmax.optimizer.kind = OptimizerKind::kAdam;
  softmax.optimizer.learning_rate = 0.003;
  softmax.schedule.kind = ScheduleKind::kCosine;
  softmax.batch_size = 100;
  softmax.epochs = 15;
  softmax.threads = 2;
  const auto reader = testing::Make(softmax, coded);
  testing::Train(reader.get());
  const Predictions made = reader->Predict(asked);
  double right = 0;
  for (size_t row = 0; row < truth.size(); ++row) {
    const auto p = made.probabilities.values<float>().subspan(10 * row, 10);
    right += std::max_element(p.begin(), p.end()) - p.begin() == truth[row] ? 1 : 0;
  }
  RecordProperty("accuracy", std::to_string(right / 10000));
  EXPECT_GE(right / 10000, 0.952);  // 0.9522 there
}

}  // namespace
}  // namespace beamline::engine
