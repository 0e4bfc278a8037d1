#include "engine/learners/linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/core/error.h"
#include "tests/engine/classics/fixture.h"

namespace beamline::engine::testing {
namespace {

std::unique_ptr<Learner> Train(const LinearSpec& spec, const BatchSource& rows) {
  auto learner = MakeLinear(spec, {.layout = rows.layout(), .training = &rows});
  StepReport report;
  while (learner->Step(&report)) continue;
  return learner;
}

// [outputs, features] of scikit-learn in our order.
std::vector<double> Transposed(const std::vector<double>& matrix, size_t rows) {
  std::vector<double> out(matrix.size());
  const size_t columns = matrix.size() / rows;
  for (size_t i = 0; i < matrix.size(); ++i) out[i % columns * rows + i / columns] = matrix[i];
  return out;
}

TEST(Linear, LeastSquaresAndRidgeAreScikitLearns) {
  for (const auto& [name, penalty] : {std::pair("least_squares", 0.0), std::pair("ridge", 3.0)}) {
    SCOPED_TRACE(name);
    const Case& recorded = FixtureCase(name);
    const MemoryBatchSource rows = RowsOf(recorded, true);
    const auto learner = Train({.penalty = penalty}, rows);
    EXPECT_EQ(learner->step(), 1);
    ExpectNear(WeightOf(*learner, "weights"), recorded.at("coefficients"), 1e-6);
    ExpectNear(WeightOf(*learner, "bias"), recorded.at("bias"), 1e-6);
    ExpectNear(Said(*learner, ProbesOf(recorded, recorded.at("probes"))), recorded.at("predicted"),
               1e-6);
  }
}

TEST(Linear, LogisticIsScikitLearns) {
  for (const auto& [name, classes] : {std::pair("logistic_2", 2), std::pair("logistic_4", 4)}) {
    SCOPED_TRACE(name);
    const Case& recorded = FixtureCase(name);
    const MemoryBatchSource rows = RowsOf(recorded, true);
    const auto learner = Train({.penalty = 0.7, .tolerance = 1e-9}, rows);
    EXPECT_LT(learner->step(), 200);
    ExpectNear(Said(*learner, ProbesOf(recorded, recorded.at("probes"))), recorded.at("predicted"),
               1e-6);
    const std::vector<double> w = WeightOf(*learner, "weights");
    if (classes == 4) {
      ExpectNear(w, Transposed(recorded.at("coefficients"), 4), 1e-4);
      continue;
    }
    // Scikit-learn has one column where softmax has two.
    std::vector<double> differences;
    for (size_t i = 0; i < w.size(); i += 2) differences.push_back(w[i + 1] - w[i]);
    ExpectNear(differences, recorded.at("coefficients"), 1e-4);
  }
}

TEST(Linear, SameBitsForAnyThreadsAndAfterAnyResumption) {
  const MemoryBatchSource numbers = RowsOf(FixtureCase("ridge"), true);
  const MemoryBatchSource classes = RowsOf(FixtureCase("logistic_4"), true);
  for (const MemoryBatchSource* rows : {&numbers, &classes}) {
    ExpectSameBits(
        [&](int threads, bool trains) {
          return MakeLinear({.penalty = 1, .threads = threads},
                            {.layout = rows->layout(),
                             .training = trains ? rows : nullptr,
                             .validation = trains ? rows : nullptr});
        },
        *rows);
  }
}

MemoryBatch Line() {
  MemoryBatch batch;
  batch.layout.features = 3;
  batch.layout.targets = 1;
  for (int i = 0; i < 20; ++i) {
    const auto x = static_cast<float>(i);
    // The second depends on the first, the third is constant.
    batch.features.insert(batch.features.end(), {x, 1 - 2 * x, 7});
    batch.targets.push_back(3 * x + 1);
  }
  batch.rows = 20;
  return batch;
}

TEST(Linear, LeavesOutFeaturesThatDependOnOthers) {
  const MemoryBatchSource rows(Line());
  const auto learner = Train({}, rows);
  ExpectNear(WeightOf(*learner, "weights"), {3, 0, 0}, 1e-6);
  ExpectNear(WeightOf(*learner, "bias"), {1}, 1e-6);
}

TEST(Linear, SaysWhatIsWrong) {
  MemoryBatch batch = Line();
  batch.layout.has_weights = true;
  batch.weights.assign(20, -1.0F);
  EXPECT_THROW(Train({}, MemoryBatchSource(batch)), Error);
  batch.layout.features = 0;
  batch.features.clear();
  batch.layout.code_columns = 3;
  batch.codes.assign(60, 1);
  const MemoryBatchSource codes(batch);
  EXPECT_THROW(MakeLinear({}, {.layout = codes.layout(), .training = &codes}), Error);
}

}  // namespace
}  // namespace beamline::engine::testing
