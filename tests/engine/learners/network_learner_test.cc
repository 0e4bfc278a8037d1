#include "engine/learners/network_learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/backend/backend.h"
#include "engine/metrics/metrics.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using testing::Circle;
using ::testing::HasSubstr;
using testing::Make;
using testing::RichNetwork;
using testing::Train;
using testing::WeightBytes;

// The message of the Error that `action` throws; "" if it throws none.
template <typename Action>
std::string ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

double Auc(Learner* learner, const MemoryBatchSource& data, int64_t rows) {
  const Predictions predictions = learner->Predict(data);
  std::vector<int32_t> labels(static_cast<size_t>(rows));
  std::vector<int64_t> order(labels.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  BatchView view;
  view.labels = labels.data();
  data.Gather(order, view);
  return metrics::RocAuc(predictions.probabilities.values<float>(), labels);
}

TEST(NetworkLearnerTest, LearnsACircle) {
  const MemoryBatchSource training = Circle(1000, 1);
  const MemoryBatchSource test = Circle(500, 2);
  NetworkSpec spec = RichNetwork();
  spec.epochs = 15;
  const auto learner = Make(spec, training, &test);
  const double before = learner->Evaluate(test).loss;
  const StepReport report = Train(learner.get());
  EXPECT_TRUE(report.epoch_end);
  EXPECT_EQ(report.step, 15 * 32);
  EXPECT_EQ(report.examples_seen, 15'000);
  EXPECT_LT(report.validation_loss, before / 2);
  EXPECT_GT(Auc(learner.get(), test, 500), 0.97);
  EXPECT_TRUE(learner->done());
}

// The same bits whatever the number of threads and the instruction set.
TEST(NetworkLearnerTest, BitsDependOnNeitherThreadsNorInstructionSet) {
  const MemoryBatchSource training = Circle(100, 1);
  std::string expected;
  for (const std::string_view backend : AvailableBackends()) {
    if (!backend.starts_with("cpu")) continue;
    for (const int threads : {1, 2, 3, 4, 8}) {
      NetworkSpec spec = RichNetwork();
      spec.backend = backend;
      spec.threads = threads;
      const auto learner = Make(spec, training);
      Train(learner.get());
      if (expected.empty()) expected = WeightBytes(*learner);
      EXPECT_EQ(WeightBytes(*learner) == expected, true) << backend << ", " << threads;
    }
  }
}

// Large enough that loops are shared between threads.
TEST(NetworkLearnerTest, WideNetworksGiveTheSameBitsOnAnyNumberOfThreads) {
  const MemoryBatchSource training = Circle(600, 1);
  NetworkSpec spec = RichNetwork();
  for (LayerSpec& layer : spec.layers) {
    if (layer.units == 24) layer.units = 301;
  }
  spec.batch_size = 250;
  spec.epochs = 2;
  std::string expected;
  for (const int threads : {1, 2, 3, 4, 8}) {
    spec.threads = threads;
    const auto learner = Make(spec, training);
    Train(learner.get());
    if (expected.empty()) expected = WeightBytes(*learner);
    EXPECT_EQ(WeightBytes(*learner) == expected, true) << threads;
  }
}

TEST(NetworkLearnerTest, AgreesWithTheReference) {
  const MemoryBatchSource training = Circle(100, 1);
  NetworkSpec spec = RichNetwork();
  const auto fast = Make(spec, training);
  spec.backend = "reference";
  const auto slow = Make(spec, training);
  StepReport a, b;
  while (fast->Step(&a) && slow->Step(&b)) EXPECT_NEAR(a.loss, b.loss, 1e-4);
}

TEST(NetworkLearnerTest, ResumesAtEveryStepWithTheSameBits) {
  const MemoryBatchSource training = Circle(100, 1);
  const MemoryBatchSource validation = Circle(50, 2);
  NetworkSpec spec = RichNetwork();
  spec.early_stopping.patience = 2;
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
    EXPECT_EQ(second->step(), whole->step());
    EXPECT_EQ(WeightBytes(*second) == expected, true) << "cut after step " << cut;
    std::string a, b;
    whole->Save(&a);
    second->Save(&b);
    EXPECT_EQ(a == b, true) << "cut after step " << cut;
  }
}

TEST(NetworkLearnerTest, RefusesDamagedAndForeignCheckpoints) {
  const MemoryBatchSource training = Circle(100, 1);
  const auto learner = Make(RichNetwork(), training);
  Train(learner.get(), 2);
  std::string checkpoint;
  learner->Save(&checkpoint);
  const std::string before = WeightBytes(*learner);
  for (size_t i = 0; i < checkpoint.size(); i += 97) {
    std::string damaged = checkpoint;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_THROW(learner->Load(damaged), Error) << i;
    EXPECT_THROW(learner->Load(checkpoint.substr(0, i)), Error) << i;
  }
  NetworkSpec other = RichNetwork();
  other.optimizer.learning_rate *= 2;
  EXPECT_THAT(ErrorOf([&] { Make(other, training)->Load(checkpoint); }),
              HasSubstr("another definition"));
  EXPECT_EQ(WeightBytes(*learner), before);
}

TEST(NetworkLearnerTest, StopsEarlyAndRestoresTheBest) {
  const MemoryBatchSource training = Circle(64, 1);
  const MemoryBatchSource validation = Circle(64, 2);
  NetworkSpec spec = RichNetwork();
  spec.epochs = 100;
  spec.early_stopping.patience = 2;
  spec.early_stopping.metric = "score";
  spec.early_stopping.larger_is_better = true;
  const auto learner = Make(spec, training, &validation);
  const double scores[] = {0.1, 0.5, 0.4, 0.45};
  std::string best;
  StepReport report;
  for (const double score : scores) {
    do {
      ASSERT_TRUE(learner->Step(&report));
    } while (!report.epoch_end);
    if (score == 0.5) best = WeightBytes(*learner);
    EXPECT_THAT(ErrorOf([&] { learner->Step(&report); }), HasSubstr("report its value"));
    EXPECT_EQ(learner->ReportMetric("score", score), score == 0.1 || score == 0.5);
  }
  EXPECT_TRUE(learner->done());
  EXPECT_FALSE(learner->Step(&report));
  EXPECT_EQ(WeightBytes(*learner) == best, true);
  EXPECT_THROW(learner->ReportMetric("score", 1), Error);
}

TEST(NetworkLearnerTest, PredictsTheSameRowsAloneAndTogether) {
  const MemoryBatchSource data = Circle(700, 1);
  const auto learner = Make(RichNetwork(), data);
  Train(learner.get(), 5);
  const Predictions all = learner->Predict(data);
  for (const int64_t row : {0, 13, 699}) {
    const Predictions one = learner->Predict(data, std::vector<int64_t>{row});
    EXPECT_EQ(one.outputs.values<float>()[0],
              all.outputs.values<float>()[static_cast<size_t>(row)]);
    EXPECT_EQ(one.probabilities.values<float>()[0],
              all.probabilities.values<float>()[static_cast<size_t>(row)]);
  }
  EXPECT_THROW(learner->Predict(data, std::vector<int64_t>{700}), Error);
}

TEST(NetworkLearnerTest, WeightsTravelToALearnerForPrediction) {
  const MemoryBatchSource data = Circle(100, 1);
  const NetworkSpec spec = RichNetwork();
  const auto trained = Make(spec, data);
  Train(trained.get());
  LearnerConfig config;
  config.network = &spec;
  config.layout = data.layout();
  const auto fresh = MakeLearner("network", config);
  fresh->SetWeights(trained->Weights());
  const Predictions a = trained->Predict(data);
  const Predictions b = fresh->Predict(data);
  EXPECT_TRUE(std::ranges::equal(a.outputs.values<float>(), b.outputs.values<float>()));
  std::vector<NamedTensor> incomplete = trained->Weights();
  incomplete.pop_back();
  EXPECT_THAT(ErrorOf([&] { fresh->SetWeights(incomplete); }), HasSubstr("is missing"));
  StepReport report;
  EXPECT_THROW(fresh->Step(&report), Error);
}

TEST(NetworkLearnerTest, NamesWhatIsWrongWithTheDefinition) {
  const MemoryBatchSource data = Circle(40, 1);
  const auto error = [&](const auto& change) {
    NetworkSpec spec = RichNetwork();
    change(spec);
    return ErrorOf([&] { Make(spec, data); });
  };
  EXPECT_EQ(error([](NetworkSpec&) {}), "");
  EXPECT_THAT(error([](NetworkSpec& s) { s.layers[2].expected_inputs = 128; }),
              HasSubstr("layer \"first\" expects 128 inputs but gets 11: set inputs to 11"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.layers[1].inputs = {"nothing"}; }),
              HasSubstr("no layer of that name"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.layers[5].units = 7; }),
              HasSubstr("layer \"residual\" adds inputs of one shape"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.layers.back().units = 2; }),
              HasSubstr("set its units to 1"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.layers.back().activation = Activation::kSigmoid; }),
              HasSubstr("set its activation to linear"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.loss.kind = LossKind::kMeanSquaredError; }),
              HasSubstr("use cross-entropy"));
  EXPECT_THAT(error([](NetworkSpec& s) {
                s.layers[0].categories = {2};
                s.epochs = 1;
              }),
              "");
  EXPECT_THAT(error([](NetworkSpec& s) { s.optimizer.learning_rate = -1; }),
              HasSubstr("learning_rate"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.layers.clear(); }), HasSubstr("no layers"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.backend = "gpu"; }), HasSubstr("choose one of"));
  EXPECT_THAT(error([](NetworkSpec& s) { s.early_stopping.patience = 1; }),
              HasSubstr("validation"));
}

// Images of 28 x 28 pixels, and what is wrong with a network for them.
TEST(NetworkLearnerTest, SaysWhatToChangeInAConvolutionalNetwork) {
  MemoryBatch batch;
  batch.rows = 4;
  batch.layout.features = 784;
  batch.layout.classes = 2;
  batch.features.assign(4 * 784, 0.5f);
  batch.labels = {0, 1, 0, 1};
  const MemoryBatchSource data(std::move(batch));
  const auto error = [&](const auto& change) {
    NetworkSpec spec;
    spec.layers.resize(5);
    spec.layers[0].kind = LayerKind::kReshape;
    spec.layers[0].shape = {28, 28, 1};
    spec.layers[1].kind = LayerKind::kConv;
    spec.layers[1].name = "conv1";
    spec.layers[1].units = 6;
    spec.layers[1].kernel = {5};
    spec.layers[2].kind = LayerKind::kMaxPool;
    spec.layers[2].kernel = {2};
    spec.layers[3].kind = LayerKind::kGlobalPool;
    spec.loss.kind = LossKind::kCrossEntropy;
    spec.batch_size = 4;
    change(spec.layers);
    return ErrorOf([&] { Make(spec, data); });
  };
  using Layers = std::vector<LayerSpec>;
  EXPECT_EQ(error([](Layers&) {}), "");
  EXPECT_EQ(error([](Layers& l) { l.erase(l.begin()); }),
            "layer \"conv1\" expects images [batch, height, width, channels] or sequences [batch, "
            "steps, channels] but gets [4, 784]: put \"reshape: {shape: [28, 28, 1]}\" before it");
  EXPECT_THAT(error([](Layers& l) {
                l[1].kernel = {5, 5, 5};
              }),
              HasSubstr("has 3 numbers in kernel but its input [4, 28, 28, 1] has 2 axes"));
  EXPECT_THAT(error([](Layers& l) { l[1].kernel.clear(); }), HasSubstr("how large its window is"));
  EXPECT_THAT(error([](Layers& l) { l[1].kernel = {29}; }), HasSubstr("set padding to same"));
  EXPECT_THAT(error([](Layers& l) { l[1].stride = {0}; }), HasSubstr("has 0 in stride"));
  EXPECT_THAT(error([](Layers& l) { l[1].groups = 2; }), HasSubstr("common divisor"));
  EXPECT_THAT(error([](Layers& l) { l[1].units = 0; }), HasSubstr("set units"));
  EXPECT_THAT(error([](Layers& l) {
                l[2].kind = LayerKind::kGroupNorm;
                l[2].groups = 4;
              }),
              HasSubstr("set groups to a divisor of 6"));
}

TEST(NetworkLearnerTest, NamesTheRowWhoseCodeIsTooLarge) {
  const MemoryBatchSource data = Circle(40, 1);
  NetworkSpec spec = RichNetwork();
  spec.layers[0].categories = {2};
  const auto learner = Make(spec, data);
  EXPECT_THAT(ErrorOf([&] { Train(learner.get()); }), HasSubstr("raise categories"));
}

TEST(NetworkLearnerTest, SaysWhatToDoWhenTheLossExplodes) {
  const MemoryBatchSource data = Circle(40, 1);
  NetworkSpec spec;
  spec.layers.resize(2);
  spec.layers[0].units = 8;
  spec.loss.kind = LossKind::kBinaryCrossEntropy;
  spec.optimizer.learning_rate = 1e30;
  spec.epochs = 100;
  const auto learner = Make(spec, data);
  EXPECT_THAT(ErrorOf([&] { Train(learner.get()); }), HasSubstr("lower the learning rate"));
}

TEST(RegistryTest, ListsItsLearners) {
  EXPECT_EQ(Learners().back().name, "network");
  EXPECT_THAT(ErrorOf([] { MakeLearner("nothing", {}); }),
              HasSubstr("choose one of adversarial, network"));
}

TEST(NetworkLearnerTest, TakesOverTheEndOfAnEpochOnly) {
  const MemoryBatchSource training = Circle(320, 1);
  NetworkSpec spec = RichNetwork();
  spec.batch_size = 32;
  spec.epochs = 4;
  const auto first = Make(spec, training);
  Train(first.get(), 10);
  std::string epoch;
  first->Save(&epoch);
  Train(first.get(), 3);
  std::string between;
  first->Save(&between);

  NetworkSpec faster = spec;
  faster.optimizer.learning_rate *= 2;
  const auto other = Make(faster, training);
  EXPECT_THAT(ErrorOf([&] { other->Adopt(between); }), HasSubstr("only the state at the end"));
  EXPECT_THAT(ErrorOf([&] { other->Load(epoch); }), ::testing::Ne("")) << "another rate";
  other->Adopt(epoch);
  EXPECT_EQ(WeightBytes(*other).size(), WeightBytes(*first).size());
  const auto same = Make(spec, training);
  same->Adopt(epoch);
  Train(same.get(), 3);
  EXPECT_EQ(WeightBytes(*same), WeightBytes(*first)) << "as if it had gone on by itself";
  Train(other.get(), 3);
  EXPECT_NE(WeightBytes(*other), WeightBytes(*first)) << "at its own rate";

  NetworkSpec larger = spec;
  larger.batch_size = 64;
  const auto coarse = Make(larger, training);
  EXPECT_THAT(ErrorOf([&] { coarse->Adopt(epoch); }), HasSubstr("of batches as large"));
}

}  // namespace
}  // namespace beamline::engine
