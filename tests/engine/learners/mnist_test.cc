// Autoencoders on MNIST (LeCun et al. 1998): codes of 32 numbers against PCA, denoising, sparsity.
// Needs the data set, and gzip.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/core/philox.h"
#include "tests/engine/learners/mnist_images.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::kPixels;
using testing::MnistFolder;
using testing::ReadImages;
using testing::SourceOf;

constexpr int64_t kTrainingRows = 20'000;
constexpr int64_t kTestRows = 2'000;
// Mean squared error of held-out pixels by the 32 leading principal components of the training
// rows.
constexpr double kPca32 = 0.0168;
constexpr double kWanted = 0.0120;

double Error(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
  }
  return sum / static_cast<double>(a.size());
}

LayerSpec& Add(NetworkSpec& spec, LayerKind kind, const std::string& name) {
  spec.layers.push_back({});
  spec.layers.back().kind = kind;
  spec.layers.back().name = name;
  return spec.layers.back();
}

void AddDense(NetworkSpec& spec, const std::string& name, int64_t units, Activation activation) {
  LayerSpec& layer = Add(spec, LayerKind::kDense, name);
  layer.units = units;
  layer.activation = activation;
}

void AddDecoder(NetworkSpec& spec) {
  AddDense(spec, "unfold", 256, Activation::kRelu);
  AddDense(spec, "image", 0, Activation::kSigmoid);
  spec.objective = Objective::kReconstruct;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.002;
  spec.schedule.kind = ScheduleKind::kCosine;
  spec.batch_size = 128;
  spec.epochs = 10;
  spec.seed = 7;
  spec.threads = 2;
}

NetworkSpec Autoencoder() {
  NetworkSpec spec;
  AddDense(spec, "fold", 256, Activation::kRelu);
  AddDense(spec, "code", 32, Activation::kLinear);
  AddDecoder(spec);
  return spec;
}

class MnistTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (MnistFolder().empty()) {
      GTEST_SKIP() << "data set mnist not found: set BEAMLINE_DATASETS to the folder that holds it";
    }
    training_ = ReadImages("train-images-idx3-ubyte.gz", kTrainingRows + kTestRows);
    test_ = ReadImages("t10k-images-idx3-ubyte.gz", kTestRows);
    ASSERT_FALSE(training_.empty() || test_.empty()) << "cannot read " << MnistFolder();
    validation_.assign(training_.end() - kTestRows * kPixels, training_.end());
    training_.resize(kTrainingRows * kPixels);
  }

  std::unique_ptr<Learner> Trained(const NetworkSpec& spec) {
    source_ = std::make_unique<MemoryBatchSource>(SourceOf(training_));
    std::unique_ptr<Learner> learner = testing::Make(spec, *source_);
    testing::Train(learner.get());
    return learner;
  }

  // What the learner makes of these images.
  static std::vector<float> Reconstruct(Learner* learner, const std::vector<float>& images) {
    const Predictions predictions = learner->Predict(SourceOf(images));
    const std::span<const float> values = predictions.probabilities.values<float>();
    return {values.begin(), values.end()};
  }

  // The validation rows are drawn as the training rows were; the test rows are brighter.
  std::vector<float> training_, validation_, test_;
  std::unique_ptr<MemoryBatchSource> source_;
};

TEST_F(MnistTest, AnAutoencoderBeatsPca) {
  const auto learner = Trained(Autoencoder());
  const double error = Error(Reconstruct(learner.get(), test_), test_);
  RecordProperty("error", std::to_string(error));
  EXPECT_LT(error, kWanted);
  EXPECT_LT(error, kPca32);
  // Each row's own error is what anomalies are found by: noise is unlike any digit.
  const Predictions known = learner->Predict(SourceOf(test_));
  EXPECT_NEAR(learner->Evaluate(SourceOf(test_)).loss, error, 1e-6);
  std::vector<float> noise(static_cast<size_t>(10 * kPixels));
  const Philox random(1, 2);
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = random.Uniform(i);
  const Predictions strange = learner->Predict(SourceOf(noise));
  const std::span<const float> errors = known.row_losses.values<float>();
  ASSERT_EQ(errors.size(), static_cast<size_t>(kTestRows));
  const float worst = *std::max_element(errors.begin(), errors.end());
  for (const float row : strange.row_losses.values<float>()) EXPECT_GT(row, worst);
}

TEST_F(MnistTest, AVariationalAutoencoderBeatsPca) {
  NetworkSpec spec;
  AddDense(spec, "fold", 256, Activation::kRelu);
  AddDense(spec, "parameters", 64, Activation::kLinear);
  // The bound of normal pixels with a standard deviation of 0.1.
  Add(spec, LayerKind::kLatent, "code").beta = 2 * 0.1 * 0.1;
  AddDecoder(spec);
  const auto learner = Trained(spec);
  const Evaluation evaluation = learner->Evaluate(SourceOf(test_));
  RecordProperty("error", std::to_string(evaluation.main_loss));
  EXPECT_LT(evaluation.main_loss, kWanted);
  EXPECT_NEAR(evaluation.main_loss, Error(Reconstruct(learner.get(), test_), test_), 1e-6);
  // The code costs something: it has not collapsed.
  EXPECT_GT(evaluation.loss, evaluation.main_loss + 1e-4);
}

TEST_F(MnistTest, ADenoisingAutoencoderDenoises) {
  NetworkSpec spec;
  LayerSpec& noise = Add(spec, LayerKind::kNoise, "noise");
  noise.deviation = 0.3;
  noise.rate = 0.2;
  const NetworkSpec plain = Autoencoder();
  spec.layers.insert(spec.layers.end(), plain.layers.begin(), plain.layers.end());
  const std::vector<LayerSpec> layers = spec.layers;
  spec = plain;
  spec.layers = layers;
  std::vector<float> noisy = test_;
  const Philox random(3, 4);
  for (size_t i = 0; i < noisy.size(); ++i) {
    noisy[i] = random.Uniform(2 * i + 1) < 0.2f ? 0 : noisy[i] + 0.3f * random.Normal(2 * i);
  }
  const double disturbed = Error(noisy, test_);
  const double denoised = Error(Reconstruct(Trained(spec).get(), noisy), test_);
  const double by_plain = Error(Reconstruct(Trained(plain).get(), noisy), test_);
  RecordProperty("disturbed", std::to_string(disturbed));
  RecordProperty("denoised", std::to_string(denoised));
  RecordProperty("by_plain", std::to_string(by_plain));
  EXPECT_LT(denoised, disturbed / 4);
  EXPECT_LT(denoised, by_plain * 0.8);
}

TEST_F(MnistTest, ASparseAutoencoderReachesItsTarget) {
  constexpr int64_t kCode = 200;
  constexpr double kTarget = 0.05;
  NetworkSpec spec;
  AddDense(spec, "code", kCode, Activation::kSigmoid);
  LayerSpec& penalty = Add(spec, LayerKind::kActivityPenalty, "sparse");
  penalty.sparsity_weight = 0.01;
  penalty.sparsity_target = kTarget;
  AddDecoder(spec);
  const auto learner = Trained(spec);
  // The code of held-out rows, by a network that ends there.
  NetworkSpec encoder;
  encoder.layers = {spec.layers[0]};
  LearnerConfig config;
  config.network = &encoder;
  config.layout.features = kPixels;
  config.layout.targets = kCode;
  const auto coder = MakeLearner("network", config);
  std::vector<NamedTensor> weights;
  for (NamedTensor& weight : learner->Weights()) {
    if (weight.name.starts_with("code.")) weights.push_back(std::move(weight));
  }
  coder->SetWeights(weights);
  MemoryBatch batch;
  batch.rows = kTestRows;
  batch.layout = config.layout;
  batch.features = validation_;
  const Predictions codes = coder->Predict(MemoryBatchSource(std::move(batch)));
  double sum = 0;
  for (const float x : codes.outputs.values<float>()) sum += static_cast<double>(x);
  const double mean = sum / static_cast<double>(kTestRows * kCode);
  RecordProperty("mean_activity", std::to_string(mean));
  EXPECT_NEAR(mean, kTarget, 0.1 * kTarget);
  // The images' variance is about 0.067.
  EXPECT_LT(learner->Evaluate(SourceOf(validation_)).main_loss, 0.03);
}

}  // namespace
}  // namespace beamline::engine
