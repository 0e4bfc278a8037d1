#include "engine/passes/cost_model.h"

#include <gtest/gtest.h>

#include <vector>

namespace beamline::engine {
namespace {

MeasuredWork Measured(const char* kernel, double flops, double bytes, double seconds) {
  return {{kernel, flops, bytes}, seconds};
}

TEST(CostModelTest, FindsTheLineThatWasMeasured) {
  std::vector<MeasuredWork> measured;
  for (const double flops : {1e4, 1e5, 1e6, 1e7}) {
    for (const double bytes : {1e3, 1e5}) {
      measured.push_back(Measured("matmul", flops, bytes, 2e-6 + flops / 5e9 + bytes / 1e10));
    }
  }
  const CostModel model(measured);
  const auto seconds = model.SecondsOf(KernelWork{"matmul", 3e6, 5e4});
  ASSERT_TRUE(seconds.has_value());
  EXPECT_NEAR(*seconds, 2e-6 + 3e6 / 5e9 + 5e4 / 1e10, 1e-9);
}

TEST(CostModelTest, NeverSaysLessOfMoreWork) {
  // Noise that by plain least squares gives a negative time to bytes.
  const CostModel model({Measured("add", 1e3, 8e3, 4e-6), Measured("add", 1e4, 7e4, 5e-6),
                         Measured("add", 1e5, 9e5, 3e-5), Measured("add", 2e5, 3e6, 4.1e-5)});
  double before = 0;
  for (double size = 1; size < 1e9; size *= 3) {
    const double seconds = *model.SecondsOf(KernelWork{"add", size, 8 * size});
    EXPECT_GE(seconds, before) << size;
    EXPECT_GE(*model.SecondsOf(KernelWork{"add", size, 16 * size}), seconds);
    EXPECT_GE(*model.SecondsOf(KernelWork{"add", 2 * size, 8 * size}), seconds);
    before = seconds;
  }
  EXPECT_GT(before, 0);
}

TEST(CostModelTest, OnePointIsARate) {
  const CostModel model({Measured("feed", 0, 1e6, 1e-3)});
  EXPECT_NEAR(*model.SecondsOf(KernelWork{"feed", 0, 1e6}), 1e-3, 1e-9);
}

TEST(CostModelTest, FusedKernelsFallBackOnPlainOnes) {
  const CostModel model({Measured("matmul", 1e6, 1e4, 1e-4), Measured("matmul", 2e6, 1e4, 2e-4)});
  EXPECT_EQ(model.SecondsOf(KernelWork{"matmul/softplus", 1e6, 1e4}),
            model.SecondsOf(KernelWork{"matmul", 1e6, 1e4}));
  EXPECT_FALSE(model.SecondsOf(KernelWork{"routing", 1e6, 1e4}).has_value());
  double unknown = 0;
  const double seconds = model.SecondsOf({{"routing", 1e6, 1e4}, {"matmul", 1e6, 1e4}}, &unknown);
  EXPECT_GT(unknown, 0);
  EXPECT_NEAR(seconds, unknown + 1e-4, 1e-6);
}

TEST(CostModelTest, WithoutRatesKnowsNothing) {
  const CostModel model({});
  EXPECT_TRUE(model.empty());
  EXPECT_FALSE(model.SecondsOf(KernelWork{"matmul", 1, 1}).has_value());
}

}  // namespace
}  // namespace beamline::engine
