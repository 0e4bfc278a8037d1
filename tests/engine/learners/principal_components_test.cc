#include "engine/learners/principal_components.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "engine/core/philox.h"
#include "engine/learners/linear_algebra.h"
#include "tests/engine/learners/classic.h"

namespace beamline::engine {
namespace {

Matrix Random(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix matrix(rows, columns);
  const Philox random(seed, 5);
  for (size_t i = 0; i < matrix.values.size(); ++i) {
    matrix.values[i] = static_cast<double>(random.Normal(i));
  }
  return matrix;
}

TEST(LinearAlgebraTest, EigenvectorsAreOrthogonalAndMakeTheMatrix) {
  ThreadPool pool(3);
  for (const int64_t n : {1, 2, 3, 7, 40, 130}) {
    const Matrix x = Random(n / 2 + 1, n, static_cast<uint64_t>(n));
    Matrix a(n, n);
    AddGram(x.values.data(), nullptr, x.rows, &a, &pool);
    const SymmetricEigen eigen = EigenOfSymmetric(a, n, &pool);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j <= i; ++j) {
        double made = 0, dot = 0, gram = 0;
        for (int64_t k = 0; k < n; ++k) {
          made += eigen.values[static_cast<size_t>(k)] * eigen.vectors.At(k, i) *
                  eigen.vectors.At(k, j);
          dot += eigen.vectors.At(i, k) * eigen.vectors.At(j, k);
        }
        for (int64_t r = 0; r < x.rows; ++r) gram += x.At(r, i) * x.At(r, j);
        EXPECT_NEAR(a.At(i, j), gram, 1e-11);
        EXPECT_NEAR(made, gram, 1e-10);
        EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-12);
      }
      if (i > 0) {
        EXPECT_GE(eigen.values[static_cast<size_t>(i - 1)], eigen.values[static_cast<size_t>(i)]);
      }
    }
  }
}

// One by one, and beside all of them together: also of matrices that fall into blocks, have equal
// values, or none but zero.
TEST(LinearAlgebraTest, FewEigenvectorsAreThoseOfAll) {
  ThreadPool pool(3), alone(1);
  for (const char* kind : {"random", "flat", "blocks", "equal", "zero"}) {
    SCOPED_TRACE(kind);
    constexpr int64_t n = 300, kCount = 40;
    Matrix a(n, n);
    const Matrix x = Random(kind == std::string("flat") ? 20 : 400, n, 3);
    if (kind[0] == 'r' || kind[0] == 'f') AddGram(x.values.data(), nullptr, x.rows, &a, &pool);
    for (int64_t i = 0; i < n && (kind[0] == 'b' || kind[0] == 'e'); ++i) {
      a.At(i, i) = kind[0] == 'e' ? 7 : static_cast<double>(i / 10);
      if (kind[0] == 'b' && i % 3 != 0) a.At(i, i - 1) = 0.25;
    }
    const SymmetricEigen few = EigenOfSymmetric(a, kCount, &pool);
    const SymmetricEigen all = EigenOfSymmetric(a, n, &pool);
    const double largest = std::max(1.0, all.values[0]);
    for (int64_t i = 0; i < kCount; ++i) {
      const double value = few.values[static_cast<size_t>(i)];
      EXPECT_NEAR(value, all.values[static_cast<size_t>(i)], 1e-13 * largest);
      for (int64_t j = 0; j < n; ++j) {
        double made = 0;
        for (int64_t k = 0; k < n; ++k) {
          made += a.At(std::max(j, k), std::min(j, k)) * few.vectors.At(i, k);
        }
        ASSERT_NEAR(made, value * few.vectors.At(i, j), 1e-12 * largest) << i << ' ' << j;
      }
      for (int64_t other = 0; other <= i; ++other) {
        double dot = 0;
        for (int64_t k = 0; k < n; ++k) dot += few.vectors.At(i, k) * few.vectors.At(other, k);
        ASSERT_NEAR(dot, i == other ? 1 : 0, 1e-12) << i << ' ' << other;
      }
    }
    EXPECT_EQ(EigenOfSymmetric(a, kCount, &alone).vectors.values, few.vectors.values);
  }
}

TEST(LinearAlgebraTest, SolvesAlsoWhatIsSingular) {
  ThreadPool pool(2);
  for (const int64_t rank : {20, 9}) {
    const Matrix x = Random(rank, 20, 8);
    Matrix a(20, 20), b(20, 2);
    AddGram(x.values.data(), nullptr, rank, &a, &pool);
    const Matrix y = Random(rank, 2, 9);
    AddCross(x.values.data(), y.values.data(), nullptr, rank, &b, &pool);
    const Matrix kept = a, right = b;
    SolveSymmetric(&a, &b, &pool);
    int zeros = 0;
    for (int64_t i = 0; i < 20; ++i) {
      zeros += b.At(i, 0) == 0 ? 1 : 0;
      double sum = 0;
      for (int64_t j = 0; j < 20; ++j) {
        sum += kept.At(std::max(i, j), std::min(i, j)) * b.At(j, 0);
      }
      EXPECT_NEAR(sum, right.At(i, 0), 1e-7);
    }
    EXPECT_EQ(zeros, 20 - rank);
  }
}

std::unique_ptr<Learner> Three(const MemoryBatchSource& data, bool whiten) {
  PrincipalComponentsSpec spec;
  spec.components = 3;
  spec.whiten = whiten;
  auto learner = MakePrincipalComponents(spec, {data.layout(), &data});
  testing::TrainFully(learner.get());
  return learner;
}

// Of scikit-learn, whose signs are its own.
std::vector<double> Signed(std::vector<double> codes, const std::vector<double>& signs) {
  for (size_t i = 0; i < codes.size(); ++i) codes[i] *= signs[i % signs.size()];
  return codes;
}

TEST(PrincipalComponentsTest, AreThoseOfScikitLearn) {
  const MemoryBatchSource data(testing::Waves(150, 6, 1.25));
  const auto learner = Three(data, false);
  const std::vector<NamedTensor> weights = learner->Weights();
  ASSERT_EQ(weights[0].name, "components");
  std::vector<double> components = testing::Recorded("pca_components");
  std::vector<double> signs;
  for (size_t c = 0; c < 3; ++c) {
    double dot = 0;
    for (size_t k = 0; k < 6; ++k) {
      dot += components[c * 6 + k] * weights[0].tensor.values<float>()[c * 6 + k];
    }
    signs.push_back(dot < 0 ? -1 : 1);
    for (size_t k = 0; k < 6; ++k) components[c * 6 + k] *= signs[c];
  }
  testing::ExpectNear(weights[0].tensor.values<float>(), components, 1e-6);
  testing::ExpectNear(weights[1].tensor.values<float>(), testing::Recorded("pca_mean"), 1e-6);
  const std::vector<double> variances = testing::Recorded("pca_variances");
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(weights[2].tensor.values<float>()[c] / variances[c], 1, 1e-6);
  }
  const Predictions made = learner->Predict(data);
  testing::ExpectNear(made.outputs.values<float>(), testing::Recorded("pca_made"), 1e-5);
  testing::ExpectNear(made.codes.values<float>(), Signed(testing::Recorded("pca_codes"), signs),
                      1e-5);
  testing::ExpectNear(Three(data, true)->Predict(data).codes.values<float>(),
                      Signed(testing::Recorded("pca_whitened"), signs), 1e-5);
}

TEST(PrincipalComponentsTest, LossIsTheErrorOfTheReconstruction) {
  const MemoryBatchSource data(testing::Waves(150, 6, 1.25));
  PrincipalComponentsSpec spec;
  spec.components = 2;
  const auto learner = MakePrincipalComponents(spec, {data.layout(), &data});
  const double loss = testing::TrainFully(learner.get()).back().loss;
  EXPECT_GT(loss, 0.01);
  EXPECT_NEAR(learner->Evaluate(data).loss / loss, 1, 1e-5);
}

TEST(PrincipalComponentsTest, WeightsOfTwoAreRowsTwice) {
  MemoryBatch batch = testing::Waves(150, 6, 1.25);
  batch.layout.has_weights = true;
  for (int i = 0; i < 150; ++i) batch.weights.push_back(i % 3 == 0 ? 2.0f : 1.0f);
  MemoryBatch twice = testing::Waves(150, 6, 1.25);
  twice.rows = 200;
  for (size_t i = 0; i < 150; i += 3) {
    for (size_t k = 0; k < 6; ++k) twice.features.push_back(twice.features[i * 6 + k]);
  }
  const MemoryBatchSource weighted(batch), repeated(twice);
  const auto a = Three(weighted, false)->Weights();
  const auto b = Three(repeated, false)->Weights();
  for (size_t i = 0; i < 18; ++i) {
    EXPECT_NEAR(a[0].tensor.values<float>()[i], b[0].tensor.values<float>()[i], 1e-6);
  }
  EXPECT_NEAR(a[2].tensor.values<float>()[0] * 200 / 199, b[2].tensor.values<float>()[0], 1e-4);
}

TEST(PrincipalComponentsTest, KeepsItsPromises) {
  const MemoryBatchSource data(testing::Blobs(3000, 9, 4, 2));  // one feature is constant
  testing::ExpectToHold(
      [](const LearnerData& on, int threads) {
        PrincipalComponentsSpec spec;
        spec.components = 9;
        spec.whiten = true;
        spec.threads = threads;
        return MakePrincipalComponents(spec, on);
      },
      data, &data);
}

}  // namespace
}  // namespace beamline::engine
