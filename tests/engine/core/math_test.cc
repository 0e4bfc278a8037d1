#include "engine/core/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace beamline::engine {
namespace {

// Largest distance between `f` and the double function `exact` over [low, high], in units in the
// last place of the exact value (of 1e-3 where that is smaller in magnitude).
template <typename F, typename G>
double WorstUlp(float low, float high, F f, G exact) {
  double worst = 0;
  const int steps = 400'000;
  for (int i = 0; i <= steps; ++i) {
    const float x = low + (high - low) * (static_cast<float>(i) / steps);
    const double want = exact(static_cast<double>(x));
    const float scale = std::max(std::abs(static_cast<float>(want)), 1e-30f);
    const double ulp = std::nextafter(scale, std::numeric_limits<float>::max()) - scale;
    worst = std::max(worst, std::abs(f(x) - want) / ulp);
  }
  return worst;
}

TEST(MathTest, KeepsItsErrorBounds) {
  EXPECT_LE(
      WorstUlp(
          -87, 88, [](float x) { return math::Exp(x); }, [](double x) { return std::exp(x); }),
      2);
  EXPECT_LE(
      WorstUlp(
          1e-30f, 10, [](float x) { return math::Log(x); }, [](double x) { return std::log(x); }),
      2);
  EXPECT_LE(
      WorstUlp(
          1e-6f, 1e-3f, [](float x) { return math::Log(x); }, [](double x) { return std::log(x); }),
      2);
  EXPECT_LE(
      WorstUlp(
          0, 1, [](float x) { return math::Log1p(x); }, [](double x) { return std::log1p(x); }),
      3);
  EXPECT_LE(
      WorstUlp(
          -10, 10, [](float x) { return math::Tanh(x); }, [](double x) { return std::tanh(x); }),
      5);
  EXPECT_LE(WorstUlp(
                -80, 80, [](float x) { return math::Sigmoid(x); },
                [](double x) { return 1 / (1 + std::exp(-x)); }),
            3);
}

TEST(MathTest, KeepsItsAbsoluteErrors) {
  for (int i = -50'000; i <= 50'000; ++i) {
    const float x = static_cast<float>(i) * 1e-4f;
    ASSERT_NEAR(math::Erf(x), std::erf(static_cast<double>(x)), 5e-7) << x;
  }
  for (int i = 0; i < 100'000; ++i) {
    const float t = static_cast<float>(i) * 1e-5f;
    ASSERT_NEAR(math::CosTurn(t), std::cos(2 * M_PI * t), 4e-7) << t;
    ASSERT_NEAR(math::SinTurn(t), std::sin(2 * M_PI * t), 4e-7) << t;
  }
}

TEST(MathTest, TreatsExtremesAsDocumented) {
  const float nan = std::nanf("");
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(math::Exp(nan)));
  EXPECT_TRUE(std::isnan(math::Log(nan)));
  EXPECT_TRUE(std::isnan(math::Log(-1.0f)));
  EXPECT_TRUE(std::isnan(math::Tanh(nan)));
  EXPECT_TRUE(std::isnan(math::Sigmoid(nan)));
  EXPECT_LT(math::Exp(-infinity), 1.2e-38f);
  EXPECT_GT(math::Exp(infinity), 1.6e38f);
  EXPECT_TRUE(std::isfinite(math::Exp(infinity)));
  EXPECT_NEAR(math::Log(0.0f), -87.3f, 0.1f);
  EXPECT_FLOAT_EQ(math::Tanh(infinity), 1.0f);
  EXPECT_FLOAT_EQ(math::Sigmoid(-infinity) + 1.0f, 1.0f);
  EXPECT_FLOAT_EQ(math::Softplus(100.0f), 100.0f);
  EXPECT_EQ(math::Exp(0.0f), 1.0f);
}

}  // namespace
}  // namespace beamline::engine
