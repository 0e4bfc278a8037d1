// Recurrent networks through the learner: what they learn, bits, checkpoints, lengths.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/backend/backend.h"
#include "engine/core/philox.h"
#include "engine/executor/orthogonal.h"
#include "engine/learners/registry.h"
#include "tests/engine/learners/toy.h"

namespace beamline::engine {
namespace {

using ::testing::HasSubstr;
using testing::Make;
using testing::Train;
using testing::WeightBytes;

template <typename Action>
std::string ErrorOf(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

LayerSpec& Add(NetworkSpec* spec, LayerKind kind, int64_t units = 0) {
  spec->layers.emplace_back();
  spec->layers.back().kind = kind;
  spec->layers.back().units = units;
  return spec->layers.back();
}

NetworkSpec Sequences(int64_t steps, int64_t features) {
  NetworkSpec spec;
  Add(&spec, LayerKind::kReshape).shape = {steps, features};
  spec.loss.kind = LossKind::kCrossEntropy;
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.01;
  spec.seed = 3;
  return spec;
}

// Two cells deep and both ways, with a GRU between.
NetworkSpec Deep(int64_t steps, int64_t features) {
  NetworkSpec spec = Sequences(steps, features);
  LayerSpec& first = Add(&spec, LayerKind::kLstm, 5);
  first.sequence = true;
  first.bidirectional = true;
  Add(&spec, LayerKind::kGru, 7).sequence = true;
  Add(&spec, LayerKind::kRnn, 6).bidirectional = true;
  Add(&spec, LayerKind::kDense);
  spec.batch_size = 16;
  spec.epochs = 2;
  spec.clip_norm = 1;
  return spec;
}

// The class is that of the step, among random ones, whose second feature is 1; all steps but the
// first `steps / 2` may be beyond the end.
MemoryBatch Marked(int64_t rows, int64_t steps, bool lengths, uint64_t seed) {
  MemoryBatch batch;
  batch.rows = rows;
  batch.layout.features = steps * 2;
  batch.layout.classes = 3;
  batch.layout.has_lengths = lengths;
  const Philox random(seed, 9);
  uint64_t at = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const auto half = static_cast<uint64_t>(steps / 2);
    const int64_t marked = static_cast<int64_t>(random.Below(at++, half));
    for (int64_t p = 0; p < steps; ++p) {
      const auto label = static_cast<int32_t>(random.Below(at++, 3));
      batch.features.push_back(static_cast<float>(label - 1));
      batch.features.push_back(p == marked ? 1 : 0);
      if (p == marked) batch.labels.push_back(label);
    }
    const int64_t length = steps / 2 + static_cast<int64_t>(random.Below(at++, half + 1));
    if (lengths) batch.lengths.push_back(static_cast<int32_t>(std::min(length, steps)));
  }
  return batch;
}

double Accuracy(Learner* learner, const MemoryBatch& batch) {
  const Predictions predictions = learner->Predict(MemoryBatchSource(batch));
  const std::span<const float> p = predictions.outputs.values<float>();
  const auto classes = static_cast<size_t>(batch.layout.classes);
  int64_t right = 0;
  for (size_t i = 0; i < batch.labels.size(); ++i) {
    const auto row = p.subspan(i * classes, classes);
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    right += best == batch.labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(batch.rows);
}

TEST(RecurrentLearnerTest, BitsDependOnNeitherThreadsNorInstructionSet) {
  const MemoryBatchSource training(Marked(60, 6, true, 1));
  std::string expected;
  for (const std::string_view backend : AvailableBackends()) {
    if (!backend.starts_with("cpu")) continue;
    for (const int threads : {1, 2, 3, 4, 8}) {
      NetworkSpec spec = Deep(6, 2);
      spec.backend = backend;
      spec.threads = threads;
      const auto learner = Make(spec, training);
      Train(learner.get());
      if (expected.empty()) expected = WeightBytes(*learner);
      EXPECT_EQ(WeightBytes(*learner) == expected, true) << backend << ", " << threads;
    }
  }
}

TEST(RecurrentLearnerTest, AgreesWithTheReference) {
  const MemoryBatchSource training(Marked(60, 6, true, 1));
  NetworkSpec spec = Deep(6, 2);
  const auto fast = Make(spec, training);
  spec.backend = "reference";
  const auto slow = Make(spec, training);
  StepReport a, b;
  while (fast->Step(&a) && slow->Step(&b)) EXPECT_NEAR(a.loss, b.loss, 1e-4);
}

TEST(RecurrentLearnerTest, ResumesAtEveryStepWithTheSameBits) {
  const MemoryBatchSource training(Marked(60, 6, true, 1));
  const MemoryBatchSource validation(Marked(21, 6, true, 2));
  const NetworkSpec spec = Deep(6, 2);
  const auto whole = Make(spec, training, &validation);
  const StepReport last = Train(whole.get());
  for (int64_t cut = 0; cut <= whole->step(); ++cut) {
    const auto first = Make(spec, training, &validation);
    Train(first.get(), cut);
    std::string checkpoint;
    first->Save(&checkpoint);
    const auto second = Make(spec, training, &validation);
    second->Load(checkpoint);
    const StepReport report = Train(second.get());
    EXPECT_EQ(WeightBytes(*second) == WeightBytes(*whole), true) << "cut after step " << cut;
    EXPECT_TRUE(cut == whole->step() || report.validation_loss == last.validation_loss);
  }
}

// What stands behind the end of a row changes nothing; nor does the batch that a row is in.
TEST(RecurrentLearnerTest, ReadsNoFurtherThanTheLength) {
  const MemoryBatch batch = Marked(50, 8, true, 1);
  MemoryBatch other = batch;
  for (int64_t r = 0; r < batch.rows; ++r) {
    for (int64_t p = batch.lengths[static_cast<size_t>(r)]; p < 8; ++p) {
      other.features[static_cast<size_t>((r * 8 + p) * 2)] = 77;
    }
  }
  const MemoryBatchSource a(batch), b(other);
  const auto one = Make(Deep(8, 2), a);
  const auto two = Make(Deep(8, 2), b);
  Train(one.get());
  Train(two.get());
  EXPECT_EQ(WeightBytes(*one) == WeightBytes(*two), true);
  EXPECT_EQ(one->Evaluate(a).loss, one->Evaluate(b).loss);
  const Predictions all = one->Predict(a);
  for (const int64_t row : {0, 17, 49}) {
    const std::vector<int64_t> rows = {row};
    const Predictions alone = one->Predict(b, rows);
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(alone.outputs.values<float>()[c],
                all.outputs.values<float>()[static_cast<size_t>(row) * 3 + c]);
    }
  }
}

// The class is said at one of the first 15 steps, among 29 that say others, and is asked for after
// the last. Errors vanish on their way back through a plain recurrent layer; gates let an LSTM's
// cell state (Hochreiter, Schmidhuber 1997) and a GRU's state carry them.
// A layout says how its features are steps: no reshape is needed, and attention, which has no order
// of its own, leaves out what lies behind the end.
TEST(RecurrentLearnerTest, AttentionSeesNothingBehindTheEnd) {
  MemoryBatch batch = Marked(20, 8, true, 5);
  batch.layout.steps = 8;
  NetworkSpec spec = Sequences(8, 2);
  spec.layers.clear();
  Add(&spec, LayerKind::kAttention, 6).heads = 2;
  Add(&spec, LayerKind::kGru, 5);
  Add(&spec, LayerKind::kDense, 3);
  spec.epochs = 1;
  const MemoryBatchSource source(batch);
  const auto learner =
      MakeLearner("network", {.network = &spec, .layout = source.layout(), .training = &source});
  StepReport report;
  while (learner->Step(&report)) {
  }
  const Predictions before = learner->Predict(source);
  for (int64_t r = 0; r < batch.rows; ++r) {
    const int64_t end = 2 * batch.lengths[static_cast<size_t>(r)];
    for (int64_t k = end; k < 16; ++k) batch.features[static_cast<size_t>(r * 16 + k)] = 9;
  }
  const Predictions after = learner->Predict(MemoryBatchSource(batch));
  EXPECT_TRUE(std::ranges::equal(before.outputs.values<float>(), after.outputs.values<float>()));

  batch.layout.steps = 4;
  EXPECT_THAT(ErrorOf([&] { learner->Predict(MemoryBatchSource(batch)); }),
              HasSubstr("sequences of 4 steps, but the network was made for 8"));
  batch.layout.steps = 5;
  EXPECT_THAT(ErrorOf([&] { MakeLearner("network", {.network = &spec, .layout = batch.layout}); }),
              HasSubstr("16 features in 5 steps, which do not divide evenly"));
}

TEST(RecurrentLearnerTest, GatedCellsBridgeADelayThatAPlainLayerDoesNot) {
  constexpr int64_t kSteps = 30;
  const MemoryBatchSource training(Marked(1024, kSteps, false, 1));
  const MemoryBatch test = Marked(400, kSteps, false, 2);
  const auto accuracy = [&](LayerKind kind) {
    NetworkSpec spec = Sequences(kSteps, 2);
    Add(&spec, kind, 24);
    Add(&spec, LayerKind::kDense);
    spec.batch_size = 32;
    spec.epochs = 20;
    spec.clip_norm = 1;
    spec.threads = 2;
    const auto learner = Make(spec, training);
    Train(learner.get());
    return Accuracy(learner.get(), test);
  };
  EXPECT_GT(accuracy(LayerKind::kLstm), 0.98);
  EXPECT_GT(accuracy(LayerKind::kGru), 0.98);
  EXPECT_LT(accuracy(LayerKind::kRnn), 0.5);
}

// One row to a sequence: a decoder that says at each of five steps what went in.
TEST(RecurrentLearnerTest, RepeatMakesASequenceOfARow) {
  MemoryBatch batch;
  batch.rows = 64;
  batch.layout.features = 2;
  batch.layout.targets = 5;
  const Philox random(1, 1);
  for (uint64_t i = 0; i < 64; ++i) {
    const float a = random.Normal(2 * i), b = random.Normal(2 * i + 1);
    batch.features.insert(batch.features.end(), {a, b});
    batch.targets.insert(batch.targets.end(), {a, b, a, b, a});
  }
  NetworkSpec spec;
  Add(&spec, LayerKind::kRepeat).steps = 5;
  Add(&spec, LayerKind::kGru, 16).sequence = true;
  Add(&spec, LayerKind::kDense, 1);
  Add(&spec, LayerKind::kReshape);
  spec.optimizer.kind = OptimizerKind::kAdam;
  spec.optimizer.learning_rate = 0.02;
  spec.epochs = 60;
  spec.threads = 2;
  const MemoryBatchSource source(std::move(batch));
  const auto learner = Make(spec, source);
  const double before = learner->Evaluate(source).loss;
  Train(learner.get());
  EXPECT_LT(learner->Evaluate(source).loss, before / 10);
}

TEST(RecurrentLearnerTest, SaysWhatDoesNotFit) {
  const MemoryBatchSource with(Marked(20, 6, true, 1));
  const MemoryBatchSource without(Marked(20, 6, false, 1));
  const auto error = [](const NetworkSpec& spec, const MemoryBatchSource& source) {
    return ErrorOf([&] { Train(Make(spec, source).get(), 1); });
  };
  EXPECT_EQ(error(Deep(6, 2), with), "");
  EXPECT_THAT(error(Deep(3, 4), with),
              HasSubstr("but the network reads from 1 to 3 steps: cut the row"));
  NetworkSpec flat = Deep(6, 2);
  flat.layers.erase(flat.layers.begin());
  EXPECT_THAT(error(flat, with), HasSubstr("add a reshape layer with shape [steps, features]"));
  NetworkSpec changed = Deep(6, 2);
  LayerSpec halve;
  halve.kind = LayerKind::kReshape;
  halve.shape = {3, 20};
  changed.layers.insert(changed.layers.begin() + 2, halve);
  EXPECT_EQ(error(changed, without), "");
  EXPECT_THAT(error(changed, with), HasSubstr("reads sequences of 3 steps"));
  NetworkSpec pooled = Deep(6, 2);
  pooled.layers[3].sequence = true;
  LayerSpec pool;
  pool.kind = LayerKind::kGlobalPool;
  pooled.layers.insert(pooled.layers.begin() + 4, pool);
  EXPECT_EQ(error(pooled, without), "");
  EXPECT_THAT(error(pooled, with), HasSubstr("pools steps beyond the end of rows"));
  pooled.layers[4].reduction = Reduction::kLast;
  EXPECT_EQ(error(pooled, with), "");
  NetworkSpec sigmoid = Deep(6, 2);
  sigmoid.layers[3].activation = Activation::kSigmoid;
  EXPECT_THAT(error(sigmoid, with), HasSubstr("a recurrent layer has tanh or relu"));
  const auto learner = Make(Deep(6, 2), with);
  EXPECT_THAT(ErrorOf([&] { learner->Evaluate(without); }),
              HasSubstr("made for rows with lengths"));
  EXPECT_THAT(ErrorOf([&] { learner->Predict(without); }), HasSubstr("made for rows with lengths"));
  MemoryBatch bad = Marked(20, 6, true, 1);
  bad.lengths[4] = 0;
  EXPECT_THAT(ErrorOf([&] { MemoryBatchSource source(bad); }), HasSubstr("row 5 has 0 steps"));
  bad.lengths.pop_back();
  EXPECT_THAT(ErrorOf([&] { MemoryBatchSource source(bad); }), HasSubstr("lengths"));
}

TEST(RecurrentLearnerTest, BeginsOrthogonalAndRemembering) {
  NetworkSpec spec = Sequences(6, 2);
  Add(&spec, LayerKind::kLstm, 9).name = "cell";
  Add(&spec, LayerKind::kDense);
  const MemoryBatchSource source(Marked(20, 6, false, 1));
  const auto learner = Make(spec, source);
  for (const NamedTensor& weight : learner->Weights()) {
    const std::span<const float> w = weight.tensor.values<float>();
    if (weight.name == "cell.bias") {
      for (size_t i = 0; i < 36; ++i) EXPECT_EQ(w[i], i / 9 == 1 ? 1 : 0);
    }
    if (weight.name != "cell.recurrent_weight") continue;
    for (size_t block = 0; block < 4; ++block) {
      for (size_t a = 0; a < 9; ++a) {
        for (size_t b = 0; b < 9; ++b) {
          double dot = 0;
          for (size_t j = 0; j < 9; ++j) {
            dot += static_cast<double>(w[a * 36 + block * 9 + j]) * w[b * 36 + block * 9 + j];
          }
          EXPECT_NEAR(dot, a == b ? 1 : 0, 1e-6);
        }
      }
    }
  }
}

TEST(RecurrentLearnerTest, CountsTheProducts) {
  NetworkSpec spec = Sequences(6, 2);
  Add(&spec, LayerKind::kGru, 8);
  Add(&spec, LayerKind::kDense);
  spec.batch_size = 4;
  const NetworkCost cost = EstimateCost(spec, Marked(20, 6, false, 1).layout);
  const int64_t input = 2 * 6 * 2 * 24, recurrent = 2 * 6 * 8 * 24, head = 2 * 8 * 3;
  EXPECT_EQ(cost.flops_per_row, input + recurrent + head);
  // Forward, and for each product two more but for the gradient of the features.
  EXPECT_EQ(cost.flops_per_step, 4 * (2 * input + 3 * recurrent + 3 * head));
  EXPECT_EQ(cost.parameters, (2 + 8 + 1) * 24 + 8 + 9 * 3);
}

}  // namespace
}  // namespace beamline::engine
