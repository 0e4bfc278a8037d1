#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/core/error.h"
#include "engine/learners/vectors/kernel_cache.h"
#include "engine/learners/vectors/smo.h"
#include "engine/learners/vectors/support_vectors.h"
#include "tests/engine/classics/fixture.h"

namespace beamline::engine::testing {
namespace {

struct Kernel {
  const char* name;
  SupportVectorKernel kernel;
};
constexpr Kernel kKernels[] = {{"rbf", SupportVectorKernel::kRadial},
                               {"linear", SupportVectorKernel::kLinear},
                               {"poly", SupportVectorKernel::kPolynomial},
                               {"sigmoid", SupportVectorKernel::kSigmoid}};

SupportVectorSpec SpecOf(SupportVectorKernel kernel) {
  SupportVectorSpec spec;
  spec.kernel = kernel;
  spec.cost = 0.8;
  spec.gamma = 0.05;
  spec.degree = 2;
  spec.offset = 0.5;
  spec.epsilon = 0.2;
  spec.tolerance = 1e-6;
  return spec;
}

std::unique_ptr<Learner> Train(const SupportVectorSpec& spec, const BatchSource& rows) {
  auto learner = MakeSupportVectors(spec, {.layout = rows.layout(), .training = &rows});
  StepReport report;
  while (learner->Step(&report)) continue;
  return learner;
}

// Two classes win as many pairs as any.
bool HasTie(std::span<const double> decisions, int classes) {
  std::vector<int> wins(static_cast<size_t>(classes));
  size_t pair = 0;
  for (size_t i = 0; i < wins.size(); ++i) {
    for (size_t j = i + 1; j < wins.size(); ++j) ++wins[decisions[pair++] > 0 ? i : j];
  }
  std::sort(wins.rbegin(), wins.rend());
  return wins[0] == wins[1];
}

TEST(SupportVectors, DecisionValuesAreScikitLearns) {
  int ties = 0;
  for (const Kernel& kernel : kKernels) {
    for (const int classes : {2, 4}) {
      if (classes == 4 && kernel.kernel == SupportVectorKernel::kSigmoid) continue;
      const std::string name =
          std::string("vectors_") + kernel.name + "_" + std::to_string(classes);
      SCOPED_TRACE(name);
      const Case& recorded = FixtureCase(name);
      const SupportVectorSpec spec = SpecOf(kernel.kernel);
      const MemoryBatchSource rows = RowsOf(recorded, false);
      const auto learner = Train(spec, rows);
      EXPECT_EQ(learner->step(), classes * (classes - 1) / 2);
      const std::vector<double>& probes = recorded.at("probes");
      const std::vector<float> x(probes.begin(), probes.end());
      std::vector<double> decisions;
      for (size_t i = 0; i < x.size(); i += 5) {
        const auto row = DecisionValues(spec, learner->Weights(), std::span(x).subspan(i, 5));
        // Of two classes scikit-learn's are those of the second.
        for (const double value : row) decisions.push_back(classes == 2 ? -value : value);
      }
      ExpectNear(decisions, recorded.at("decision"), 1e-4);
      const auto pairs = static_cast<size_t>(classes * (classes - 1) / 2);
      const std::vector<double> said = Said(*learner, ProbesOf(recorded, probes));
      for (size_t i = 0; i < recorded.at("predicted").size(); ++i) {
        const auto begin = said.begin() + static_cast<int64_t>(i) * classes;
        const double largest = *std::max_element(begin, begin + classes);
        // Where two classes win as many pairs, scikit-learn takes the first, and not the clearer.
        if (HasTie(std::span(decisions).subspan(i * pairs, pairs), classes)) {
          ++ties;
          continue;
        }
        EXPECT_EQ(std::find(begin, begin + classes, largest) - begin, recorded.at("predicted")[i]);
        double sum = 0;
        for (int k = 0; k < classes; ++k) sum += begin[k];
        EXPECT_NEAR(sum, 1, 1e-6);
      }
    }
  }
  EXPECT_LE(ties, 3);
}

TEST(SupportVectors, NumbersAreScikitLearns) {
  for (const Kernel& kernel : kKernels) {
    SCOPED_TRACE(kernel.name);
    const Case& recorded = FixtureCase(std::string("vectors_") + kernel.name + "_0");
    const MemoryBatchSource rows = RowsOf(recorded, false);
    const auto learner = Train(SpecOf(kernel.kernel), rows);
    ExpectNear(Said(*learner, ProbesOf(recorded, recorded.at("probes"))), recorded.at("predicted"),
               1e-4);
  }
}

TEST(SupportVectors, SameBitsAndMessages) {
  for (const char* name : {"vectors_rbf_4", "vectors_rbf_2", "vectors_rbf_0"}) {
    const MemoryBatchSource rows = RowsOf(FixtureCase(name), false);
    ExpectSameBits(
        [&](int threads, bool trains) {
          SupportVectorSpec spec;
          spec.threads = threads;
          return MakeSupportVectors(
              spec, {.layout = rows.layout(), .training = trains ? &rows : nullptr});
        },
        rows);
  }
  const MemoryBatchSource weighted = RowsOf(FixtureCase("logistic_2"), true);
  EXPECT_THROW(MakeSupportVectors({}, {.layout = weighted.layout(), .training = &weighted}), Error);
}

// What has been forgotten is made anew, with the same bits.
TEST(SupportVectors, NeedNoMemoryOfKernels) {
  const MemoryBatchSource source = RowsOf(FixtureCase("vectors_rbf_2"), false);
  ThreadPool pool(2);
  const RowMatrix rows = ReadRows(source, &pool);
  std::vector<std::vector<int64_t>> segments(2);
  for (int64_t row = 0; row < rows.rows; ++row) {
    segments[static_cast<size_t>(rows.labels[static_cast<size_t>(row)])].push_back(row);
  }
  const SupportVectorSpec spec = SpecOf(SupportVectorKernel::kRadial);
  const auto solve = [&](int64_t bytes) {
    KernelCache kernels(spec, spec.gamma, rows, segments, bytes, &pool);
    std::vector<SmoPiece> pieces;
    for (int64_t segment = 0; segment < 2; ++segment) {
      const double sign = segment == 0 ? 1 : -1;
      const auto size = static_cast<size_t>(kernels.Size(segment));
      pieces.push_back({segment, sign, std::vector<double>(size, sign)});
    }
    return SolveSmo(std::move(pieces), spec.cost, spec.tolerance, &kernels);
  };
  const SmoSolution all = solve(int64_t{1} << 30), few = solve(1);
  EXPECT_TRUE(all.converged);
  EXPECT_NE(all.constant, 0);
  EXPECT_EQ(few.variables, all.variables);
  EXPECT_EQ(few.constant, all.constant);
}

TEST(SupportVectors, AClassWithoutRowsWinsNothing) {
  MemoryBatch batch;
  batch.layout.features = 1;
  batch.layout.classes = 3;
  batch.rows = 20;
  for (int i = 0; i < 20; ++i) {
    batch.labels.push_back(i % 2 == 0 ? 0 : 2);
    batch.features.push_back(static_cast<float>(i % 2 == 0 ? i : -i));
  }
  const MemoryBatchSource rows(batch);
  const std::vector<double> said = Said(*Train({}, rows), rows);
  for (size_t i = 0; i < said.size(); i += 3) {
    EXPECT_LT(said[i + 1], std::min(said[i], said[i + 2])) << i / 3;
  }
}

}  // namespace
}  // namespace beamline::engine::testing
