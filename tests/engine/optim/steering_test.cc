// What steers a training: schedules beside PyTorch's (make_schedules.py), averages of weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/core/error.h"
#include "engine/optim/schedule.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Circle;
using ::testing::HasSubstr;
using testing::Make;
using testing::RichNetwork;
using testing::Train;
using testing::WeightBytes;

constexpr int64_t kSteps = 20;

std::vector<double> Recorded(const std::string& wanted) {
  std::ifstream file(std::string(BEAMLINE_SOURCE_DIR) + "/tests/engine/optim/schedules.txt");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::vector<double> rates;
    for (double rate = 0; words >> rate;) rates.push_back(rate);
    if (name == wanted) return rates;
  }
  return {};
}

void ExpectRates(const ScheduleSpec& schedule, const std::string& name) {
  const std::vector<double> rates = Recorded(name);
  ASSERT_EQ(rates.size(), static_cast<size_t>(kSteps)) << name;
  for (int64_t step = 0; step < kSteps; ++step) {
    EXPECT_NEAR(LearningRate(schedule, 0.1, step, 5, kSteps), rates[static_cast<size_t>(step)],
                1e-13)
        << name << ", step " << step;
  }
}

TEST(ScheduleTest, FollowsPyTorch) {
  ScheduleSpec linear;
  linear.kind = ScheduleKind::kLinear;
  linear.final_fraction = 0.25;
  ExpectRates(linear, "linear");
  ScheduleSpec polynomial;
  polynomial.kind = ScheduleKind::kPolynomial;
  polynomial.power = 2.5;
  ExpectRates(polynomial, "polynomial");
  ScheduleSpec one_cycle;
  one_cycle.kind = ScheduleKind::kOneCycle;
  one_cycle.final_fraction = 0.04 / 1e4;
  ExpectRates(one_cycle, "one_cycle");
  ScheduleSpec cosine;
  cosine.kind = ScheduleKind::kCosine;
  cosine.final_fraction = 0.1;
  ExpectRates(cosine, "cosine");
}

TEST(ScheduleTest, PowersAreThoseOfTheLibrary) {
  ScheduleSpec schedule;
  schedule.kind = ScheduleKind::kPolynomial;
  for (const double power : {0.01, 0.5, 1.0, 1.7, 3.0, 40.0, 100.0}) {
    schedule.power = power;
    for (int64_t step = 0; step <= 1000; ++step) {
      const double share = 1 - static_cast<double>(step) / 1000;
      const double expected = std::pow(share, power);
      EXPECT_NEAR(LearningRate(schedule, 1, step, 10, 1000), expected, 1e-12 * expected + 1e-300)
          << power << ", " << step;
    }
  }
}

TEST(ScheduleTest, RatesGrowWithTheBatch) {
  ScheduleSpec schedule;
  EXPECT_EQ(ScaledRate(schedule, 0.1, 1024), 0.1);
  schedule.batch_scaling = BatchScaling::kLinear;
  EXPECT_DOUBLE_EQ(ScaledRate(schedule, 0.1, 1024), 0.4);
  schedule.batch_scaling = BatchScaling::kSquareRoot;
  EXPECT_DOUBLE_EQ(ScaledRate(schedule, 0.1, 1024), 0.2);
}

TEST(ScheduleTest, ReducesOnAPlateauAsPyTorch) {
  const std::vector<double> losses = {5, 4, 4, 4.5, 3.95, 4, 4, 4, 3, 3,
                                      3, 3, 3, 2,   1,    1, 1, 1, 1, 1};
  const std::vector<double> rates = Recorded("plateau");
  const MemoryBatchSource training = Circle(32, 1);
  NetworkSpec spec = RichNetwork();
  spec.epochs = kSteps;
  spec.optimizer.learning_rate = 0.1;
  spec.schedule = {};
  spec.schedule.kind = ScheduleKind::kPlateau;
  spec.schedule.factor = 0.5;
  spec.schedule.plateau_patience = 2;
  spec.schedule.final_fraction = 0.2;
  spec.early_stopping.metric = "score";
  spec.early_stopping.min_delta = 0.1;
  std::unique_ptr<Learner> learner = Make(spec, training);
  StepReport report;
  for (size_t epoch = 0; epoch < losses.size(); ++epoch) {
    ASSERT_TRUE(learner->Step(&report));
    EXPECT_NEAR(report.learning_rate, rates[epoch], 1e-15) << epoch;
    // A resumed training remembers how long nothing improved.
    std::string bytes;
    learner->Save(&bytes);
    learner = Make(spec, training);
    learner->Load(bytes);
    learner->ReportMetric("score", losses[epoch]);
  }
  EXPECT_TRUE(learner->done());
}

TEST(ScheduleTest, APlateauNeedsValidationRows) {
  const MemoryBatchSource training = Circle(32, 1);
  NetworkSpec spec = RichNetwork();
  spec.schedule.kind = ScheduleKind::kPlateau;
  try {
    Make(spec, training);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the plateau schedule watches the validation loss"));
  }
}

std::map<std::string, std::vector<float>> WeightsOf(const Learner& learner) {
  std::map<std::string, std::vector<float>> weights;
  for (const NamedTensor& weight : learner.Weights()) {
    const std::span<const float> values = weight.tensor.values<float>();
    weights[weight.name].assign(values.begin(), values.end());
  }
  return weights;
}

void ExpectNear(const std::map<std::string, std::vector<float>>& a,
                const std::map<std::string, std::vector<float>>& b) {
  for (const auto& [name, values] : a) {
    for (size_t i = 0; i < values.size(); ++i) {
      EXPECT_NEAR(values[i], b.at(name)[i], 1e-6 * (1 + std::abs(values[i]))) << name;
    }
  }
}

TEST(AveragingTest, ExponentialAveragesFollowTheWeights) {
  const MemoryBatchSource training = Circle(100, 1);
  NetworkSpec spec = RichNetwork();
  const auto plain = Make(spec, training);
  spec.averaging.kind = AveragingKind::kExponential;
  spec.averaging.decay = 0.7;
  const auto averaged = Make(spec, training);
  std::map<std::string, std::vector<float>> expected;
  for (int step = 0; step < 6; ++step) {
    Train(plain.get(), 1);
    Train(averaged.get(), 1);
    for (auto& [name, values] : WeightsOf(*plain)) {
      auto [at, first] = expected.emplace(name, values);
      for (size_t i = 0; i < values.size() && !first; ++i) {
        at->second[i] = 0.7f * at->second[i] + 0.3f * values[i];
      }
    }
    ExpectNear(expected, WeightsOf(*averaged));
  }
  // What is evaluated and predicted is the average, and the training does not notice.
  const auto fresh = Make(spec, training);
  fresh->SetWeights(averaged->Weights());
  EXPECT_EQ(fresh->Evaluate(training).loss, averaged->Evaluate(training).loss);
  EXPECT_EQ(fresh->Predict(training).outputs.values<float>()[7],
            averaged->Predict(training).outputs.values<float>()[7]);
  StepReport a, b;
  plain->Step(&a);
  averaged->Step(&b);
  EXPECT_EQ(a.loss, b.loss);
}

TEST(AveragingTest, StochasticAveragesAreMeansOfEpochs) {
  const MemoryBatchSource training = Circle(100, 1);
  NetworkSpec spec = RichNetwork();
  spec.epochs = 5;
  const auto plain = Make(spec, training);
  spec.averaging.kind = AveragingKind::kStochastic;
  spec.averaging.start_epoch = 2;
  const auto averaged = Make(spec, training);
  std::map<std::string, std::vector<float>> sums;
  StepReport report;
  while (plain->Step(&report)) {
    averaged->Step(&report);
    if (report.epoch < 2) {
      EXPECT_EQ(WeightBytes(*plain) == WeightBytes(*averaged), true);
    }
    if (!report.epoch_end || report.epoch < 2) continue;
    for (auto& [name, values] : WeightsOf(*plain)) {
      auto [at, first] = sums.emplace(name, values);
      for (size_t i = 0; i < values.size() && !first; ++i) at->second[i] += values[i];
    }
  }
  for (auto& [name, values] : sums) {
    for (float& x : values) x /= 3;
  }
  ExpectNear(sums, WeightsOf(*averaged));
}

// Averages, plateaus and LAMB resume with the same bits, on any number of threads.
TEST(AveragingTest, ResumesAtEveryStepWithTheSameBits) {
  const MemoryBatchSource training = Circle(100, 1);
  const MemoryBatchSource validation = Circle(50, 2);
  NetworkSpec spec = RichNetwork();
  spec.optimizer.kind = OptimizerKind::kLamb;
  spec.optimizer.decay_matrices_only = true;
  spec.clip_value = 0.05;
  spec.schedule.kind = ScheduleKind::kPlateau;
  spec.schedule.plateau_patience = 1;
  spec.early_stopping.patience = 3;
  spec.weight_l1 = 1e-4;
  spec.weight_l2 = 1e-3;
  for (const AveragingKind kind : {AveragingKind::kExponential, AveragingKind::kStochastic}) {
    spec.averaging.kind = kind;
    spec.averaging.decay = 0.9;
    spec.threads = 1;
    const auto whole = Make(spec, training, &validation);
    Train(whole.get());
    const std::string expected = WeightBytes(*whole);
    for (int64_t cut = 0; cut <= whole->step(); ++cut) {
      const auto first = Make(spec, training, &validation);
      Train(first.get(), cut);
      std::string checkpoint;
      first->Save(&checkpoint);
      const auto second = Make(spec, training, &validation);
      second->Load(checkpoint);
      Train(second.get());
      EXPECT_EQ(WeightBytes(*second) == expected, true) << "cut after step " << cut;
    }
    for (const std::string_view backend : AvailableBackends()) {
      if (!backend.starts_with("cpu")) continue;
      for (const int threads : {1, 2, 3, 4, 8}) {
        NetworkSpec other = spec;
        other.threads = threads;
        other.backend = backend;
        const auto learner = Make(other, training, &validation);
        Train(learner.get());
        EXPECT_EQ(WeightBytes(*learner) == expected, true) << backend << ", " << threads;
      }
    }
  }
}

// Large enough that loops are shared between threads.
TEST(LambTest, WideNetworksGiveTheSameBitsOnAnyNumberOfThreads) {
  const MemoryBatchSource training = Circle(600, 1);
  NetworkSpec spec = RichNetwork();
  for (LayerSpec& layer : spec.layers) {
    if (layer.units == 24) layer.units = 501;
  }
  spec.optimizer.kind = OptimizerKind::kLamb;
  spec.weight_l2 = 1e-3;
  spec.clip_value = 0.1;
  spec.averaging.kind = AveragingKind::kExponential;
  spec.batch_size = 250;
  spec.epochs = 1;
  std::string expected;
  for (const int threads : {1, 2, 3, 4, 8}) {
    spec.threads = threads;
    const auto learner = Make(spec, training);
    Train(learner.get());
    if (expected.empty()) expected = WeightBytes(*learner);
    EXPECT_EQ(WeightBytes(*learner) == expected, true) << threads;
  }
}

}  // namespace
}  // namespace beamline::engine
