// The engine as a library of its own: two interleaved half-moons, told apart by a small network.
//
//   cmake -S engine -B build && cmake --build build && build/bin/engine_only
#include <cmath>
#include <cstdio>

#include "engine/core/error.h"
#include "engine/core/philox.h"
#include "engine/learners/registry.h"
#include "engine/metrics/metrics.h"

using namespace beamline::engine;  // NOLINT: an example

namespace {

constexpr int64_t kTrainingRows = 2000;
constexpr int64_t kTestRows = 1000;
constexpr double kNoise = 0.15;

MemoryBatch TwoMoons(int64_t rows, uint64_t seed) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = 2;
  batch.layout.classes = 2;
  const Philox random(seed, 0);
  for (int64_t i = 0; i < rows; ++i) {
    const auto at = static_cast<uint64_t>(3 * i);
    const auto label = static_cast<int32_t>(i % 2);
    const double angle = M_PI * static_cast<double>(random.Uniform(at));
    const double x = label == 0 ? std::cos(angle) : 1 - std::cos(angle);
    const double y = label == 0 ? std::sin(angle) : 0.5 - std::sin(angle);
    batch.features.push_back(static_cast<float>(x + kNoise * random.Normal(at + 1)));
    batch.features.push_back(static_cast<float>(y + kNoise * random.Normal(at + 2)));
    batch.labels.push_back(label);
  }
  return batch;
}

NetworkSpec Definition() {
  LayerSpec hidden;
  hidden.units = 32;
  hidden.activation = Activation::kTanh;
  NetworkSpec spec;
  spec.layers = {hidden, hidden, LayerSpec()};  // the last one is as wide as the loss needs
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.batch_size = 64;
  spec.epochs = 20;
  spec.seed = 1;
  spec.threads = 2;
  return spec;
}

int Run() {
  const MemoryBatch held_out = TwoMoons(kTestRows, 2);
  const MemoryBatchSource training(TwoMoons(kTrainingRows, 1));
  const MemoryBatchSource test(held_out);
  const NetworkSpec spec = Definition();
  LearnerConfig config;
  config.network = &spec;
  config.layout = training.layout();
  config.training = &training;
  config.validation = &test;
  const auto learner = MakeLearner("network", config);
  StepReport report;
  while (learner->Step(&report)) {
    if (report.epoch_end && report.epoch % 5 == 4) {
      std::printf("epoch %2d  loss %.4f  test loss %.4f\n", static_cast<int>(report.epoch) + 1,
                  report.training_loss, report.validation_loss);
    }
  }
  const Predictions predictions = learner->Predict(test);
  metrics::Outcome outcome;
  outcome.probabilities = predictions.probabilities.values<float>();
  outcome.labels = held_out.labels;
  outcome.classes = 2;
  const double accuracy = metrics::FindMetric("accuracy").compute(outcome);
  std::printf("accuracy %.3f\n", accuracy);
  return accuracy > 0.97 ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return Run();
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
