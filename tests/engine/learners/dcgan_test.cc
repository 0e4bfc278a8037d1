// A deep convolutional pair (DCGAN, Radford et al. 2016) on images of MNIST: after a short training
// samples are as dark and as varied as digits, in the places where digits are. Needs the data set,
// and gzip.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/engine/learners/adversarial_data.h"
#include "tests/engine/learners/mnist_images.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::kPixels;

constexpr int64_t kRows = 6'400;

LayerSpec Plain(LayerKind kind, Activation activation = Activation::kLinear) {
  LayerSpec layer;
  layer.kind = kind;
  layer.activation = activation;
  return layer;
}

LayerSpec Reshape(std::vector<int64_t> shape) {
  LayerSpec layer = Plain(LayerKind::kReshape);
  layer.shape = std::move(shape);
  return layer;
}

// Of a stride of 2: it halves the image, or doubles it.
LayerSpec Convolution(LayerKind kind, int64_t units, Activation activation) {
  LayerSpec layer = Plain(kind, activation);
  layer.units = units;
  layer.kernel = {4};
  layer.stride = {2};
  layer.padding = Padding::kSame;
  return layer;
}

AdversarialSpec Dcgan() {
  AdversarialSpec spec = testing::DensePair(AdversarialLoss::kNonSaturating);
  spec.latent = 32;
  spec.generator.layers = {testing::Dense(7 * 7 * 32, Activation::kLinear),
                           Reshape({7, 7, 32}),
                           Plain(LayerKind::kBatchNorm),
                           Plain(LayerKind::kActivation, Activation::kRelu),
                           Convolution(LayerKind::kConvTranspose, 16, Activation::kLinear),
                           Plain(LayerKind::kBatchNorm),
                           Plain(LayerKind::kActivation, Activation::kRelu),
                           Convolution(LayerKind::kConvTranspose, 1, Activation::kSigmoid)};
  spec.discriminator.layers = {Reshape({28, 28, 1}),
                               Convolution(LayerKind::kConv, 16, Activation::kLeakyRelu),
                               Convolution(LayerKind::kConv, 32, Activation::kLinear),
                               Plain(LayerKind::kBatchNorm),
                               Plain(LayerKind::kActivation, Activation::kLeakyRelu),
                               Reshape({}),
                               testing::Dense(0, Activation::kLinear)};
  spec.batch_size = 64;
  spec.epochs = 3;
  spec.threads = 2;
  return spec;
}

struct PixelMoments {
  std::vector<double> mean;
  double variance = 0;  // of a pixel over the images, mean over the pixels
};

PixelMoments MomentsOf(std::span<const float> pixels) {
  const auto rows = static_cast<double>(pixels.size()) / static_cast<double>(kPixels);
  PixelMoments moments;
  moments.mean.resize(kPixels);
  double squares = 0;
  for (size_t i = 0; i < pixels.size(); ++i) {
    moments.mean[i % kPixels] += static_cast<double>(pixels[i]) / rows;
    squares += static_cast<double>(pixels[i]) * static_cast<double>(pixels[i]) / rows;
  }
  for (const double mean : moments.mean) squares -= mean * mean;
  moments.variance = squares / static_cast<double>(kPixels);
  return moments;
}

// Mean over the pixels.
double Distance(const PixelMoments& a, const PixelMoments& b) {
  double sum = 0;
  for (size_t i = 0; i < a.mean.size(); ++i) sum += std::abs(a.mean[i] - b.mean[i]);
  return sum / static_cast<double>(a.mean.size());
}

TEST(DcganTest, ComesNearTheDigits) {
  if (testing::MnistFolder().empty()) GTEST_SKIP() << "the data set mnist is not here";
  const std::vector<float> pixels = testing::ReadImages("train-images-idx3-ubyte.gz", kRows);
  ASSERT_EQ(pixels.size(), static_cast<size_t>(kRows * kPixels));
  const MemoryBatchSource data = testing::SourceOf(pixels);
  const auto learner = testing::Make(Dcgan(), data);
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < 1000; ++row) rows.push_back(row);
  const auto samples = [&] {
    return MomentsOf(learner->Predict(data, rows).outputs.values<float>());
  };
  const PixelMoments real = MomentsOf(pixels);
  EXPECT_GT(Distance(samples(), real), 0.3);
  testing::Train(learner.get());
  const PixelMoments generated = samples();
  const double distance = Distance(generated, real);
  ::testing::Test::RecordProperty("distance", std::to_string(distance));
  ::testing::Test::RecordProperty("variance", std::to_string(generated.variance / real.variance));
  EXPECT_LT(distance, 0.06);
  EXPECT_GT(generated.variance, 0.5 * real.variance);
  EXPECT_LT(generated.variance, 1.5 * real.variance);
}

}  // namespace
}  // namespace beamline::engine
