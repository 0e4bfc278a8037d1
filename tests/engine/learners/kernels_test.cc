// The loops of learners that are no networks: each instruction set gives the bits of plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/backend/cpu/isa.h"
#include "engine/core/philox.h"

namespace beamline::engine {
namespace {

using cpu::kLanes;

template <typename T>
std::vector<T> Draw(size_t size, uint64_t stream) {
  const Philox random(7, stream);
  std::vector<T> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = static_cast<T>(random.Normal(i));
  return values;
}

// Calls body(kernels) for each instruction set that runs here.
template <typename Body>
void ForIsas(const Body& body) {
  for (const cpu::Isa& isa : cpu::Isas()) {
    SCOPED_TRACE(isa.name);
    if (isa.Runs()) body(isa.learner_kernels);
  }
}

TEST(LearnerKernelsTest, ProductsOfPanelsAreFusedChains) {
  constexpr int64_t kRows = 37, kStride = 21;
  const auto a = Draw<double>(kRows * kLanes, 1), b = Draw<double>(kRows * kLanes, 2);
  const auto first = Draw<double>(kLanes * kStride, 3);
  for (const int64_t height : {16, 5}) {
    for (const int64_t width : {16, 1, 11}) {
      std::vector<double> expected = first;
      for (int64_t i = 0; i < height; ++i) {
        for (int64_t j = 0; j < width; ++j) {
          double& sum = expected[static_cast<size_t>(i * kStride + j)];
          for (int64_t r = 0; r < kRows; ++r) {
            sum = std::fma(a[static_cast<size_t>(r * kLanes + i)],
                           b[static_cast<size_t>(r * kLanes + j)], sum);
          }
        }
      }
      ForIsas([&](const cpu::LearnerKernels& kernels) {
        std::vector<double> c = first;
        kernels.AddProducts(a.data(), b.data(), kRows, c.data(), kStride, height, width);
        EXPECT_EQ(c, expected) << height << ' ' << width;
      });
    }
  }
}

TEST(LearnerKernelsTest, DistancesAndProductsOfRows) {
  constexpr int64_t kFeatures = 19;
  for (const int64_t count : {1, 3, 12, 29}) {
    const auto size = static_cast<size_t>(count * kFeatures);
    const auto x = Draw<float>(size, 1);
    const auto wide = Draw<double>(size, 2);
    const auto weights = Draw<double>(size, 3);
    const auto block = Draw<float>(kFeatures * kLanes, 4);
    std::vector<double> squares(static_cast<size_t>(count * kLanes)), weighted(squares.size());
    std::vector<float> products(squares.size());
    for (size_t i = 0; i < squares.size(); ++i) {
      for (size_t f = 0; f < kFeatures; ++f) {
        const size_t at = i / kLanes * kFeatures + f;
        const auto y = static_cast<double>(block[f * kLanes + i % kLanes]);
        const volatile double square = (wide[at] - y) * (wide[at] - y);
        const volatile double share = square * weights[at];
        squares[i] += square;
        weighted[i] += share;
        products[i] = std::fma(x[at], block[f * kLanes + i % kLanes], products[i]);
      }
    }
    ForIsas([&](const cpu::LearnerKernels& kernels) {
      std::vector<double> found(squares.size());
      kernels.SquaredDistancesOfDoubles(wide.data(), count, kFeatures, block.data(), found.data());
      EXPECT_EQ(found, squares);
      kernels.WeightedSquares(wide.data(), weights.data(), count, kFeatures, block.data(),
                              found.data());
      EXPECT_EQ(found, weighted);
      std::vector<float> made(products.size());
      kernels.ProductsOfRows(x.data(), count, kFeatures, block.data(), made.data());
      EXPECT_EQ(made, products);
      double least[kLanes], which[kLanes];
      kernels.Least(squares.data(), count, least, which);
      for (size_t lane = 0; lane < kLanes; ++lane) {
        size_t first = 0;
        for (size_t i = 1; i < static_cast<size_t>(count); ++i) {
          if (squares[i * kLanes + lane] < squares[first * kLanes + lane]) first = i;
        }
        EXPECT_EQ(which[lane], static_cast<double>(first));
        EXPECT_EQ(least[lane], squares[first * kLanes + lane]);
      }
    });
  }
}

TEST(LearnerKernelsTest, ProductsOfARowAreFusedChains) {
  constexpr int64_t kFeatures = 23, kPanels = 7;
  const auto x = Draw<float>(kFeatures, 1);
  const auto panels = Draw<float>(kPanels * kFeatures * kLanes, 2);
  std::vector<double> expected(kPanels * kLanes);
  for (size_t i = 0; i < expected.size(); ++i) {
    for (size_t f = 0; f < kFeatures; ++f) {
      const auto y =
          static_cast<double>(panels[(i / kLanes * kFeatures + f) * kLanes + i % kLanes]);
      expected[i] = std::fma(static_cast<double>(x[f]), y, expected[i]);
    }
  }
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    std::vector<double> products(expected.size());
    kernels.ProductsOfRow(x.data(), kFeatures, panels.data(), kPanels, products.data());
    EXPECT_EQ(products, expected);
    // A panel, from sums on; and its rows times a number each.
    const auto first = Draw<double>(kFeatures * kLanes, 3);
    const std::vector<double> wide(x.begin(), x.end());
    std::vector<double> lanes(kLanes), scaled = first;
    kernels.AddLanes(wide.data(), kFeatures, panels.data(), lanes.data());
    EXPECT_EQ(lanes, std::vector<double>(expected.begin(), expected.begin() + kLanes));
    kernels.AddScaledPanel(first.data(), kFeatures, panels.data(), scaled.data());
    for (size_t i = 0; i < scaled.size(); ++i) {
      EXPECT_EQ(scaled[i], std::fma(first[i % kLanes], static_cast<double>(panels[i]), first[i]));
    }
  });
}

// Of equal ones the last counts; those that may neither rise nor fall do not.
TEST(LearnerKernelsTest, PairsThatViolateMost) {
  constexpr size_t kSize = 5 * kLanes;
  constexpr float kNever = std::numeric_limits<float>::infinity();
  const auto x = Draw<float>(kSize, 1), y = Draw<float>(kSize, 2);
  auto first = Draw<double>(kSize, 3);
  std::vector<float> rise(kSize), fall(kSize), still(kSize);
  std::vector<double> diagonal(kSize);
  for (size_t i = 0; i < kSize; ++i) {
    rise[i] = i % 3 == 0 ? -kNever : 0;
    fall[i] = i % 4 == 0 ? kNever : 0;
    // Some curvatures are below the least one.
    diagonal[i] = i % 5 == 0 ? -9 : 1 + static_cast<double>(i % 7);
  }
  std::vector<double> moved = first;
  size_t highest = 1, lowest = 1;
  for (size_t i = 0; i < kSize; ++i) {
    const volatile double of_x = 0.5 * static_cast<double>(x[i]);
    const volatile double of_y = -0.25 * static_cast<double>(y[i]);
    moved[i] -= of_x + of_y;
    if (i % 3 != 0 && moved[i] >= moved[highest]) highest = i;
    if (i % 4 != 0 && moved[i] <= moved[lowest]) lowest = i;
  }
  double most = 0;
  size_t partner = 0;
  for (size_t i = 0; i < kSize; ++i) {
    const double below = moved[highest] - moved[i];
    const double twice = 2 * static_cast<double>(x[i]);
    const double gain = below * below / std::max(2 + diagonal[i] - twice, 0.25);
    if (i % 4 == 0 || below <= 0 || gain < most) continue;
    most = gain;
    partner = i;
  }
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    std::vector<double> scores = first;
    const cpu::ScoreRange range = kernels.MoveScores(0.5, x.data(), -0.25, y.data(), rise.data(),
                                                     fall.data(), kSize, scores.data());
    EXPECT_EQ(scores, moved);
    EXPECT_EQ(range.highest.at, static_cast<int64_t>(highest));
    EXPECT_EQ(range.highest.value, moved[highest]);
    EXPECT_EQ(range.lowest.at, static_cast<int64_t>(lowest));
    EXPECT_EQ(range.lowest.value, moved[lowest]);
    const cpu::Place found = kernels.FindPartner(moved[highest], 2, 0.25, x.data(), diagonal.data(),
                                                 scores.data(), fall.data(), kSize);
    EXPECT_EQ(found.at, static_cast<int64_t>(partner));
    EXPECT_EQ(found.value, most);
    std::vector<double> same(kSize, 3);
    const cpu::ScoreRange equal = kernels.MoveScores(0, x.data(), 0, y.data(), still.data(),
                                                     still.data(), kSize, same.data());
    EXPECT_EQ(equal.highest.at, static_cast<int64_t>(kSize) - 1);
    EXPECT_EQ(equal.lowest.at, static_cast<int64_t>(kSize) - 1);
  });
}

// Sums and cuts of plain loops, of bins that are bytes and that are not.
TEST(LearnerKernelsTest, HistogramsAndTheirCuts) {
  constexpr int64_t kBins = 37, kRows = 200, kWidth = cpu::kHistogramFeatures;
  const Philox random(3, 4);
  std::vector<uint8_t> bytes(kRows * kWidth);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(random.Below(i, kBins));
  const std::vector<uint16_t> shorts(bytes.begin(), bytes.end());
  std::vector<cpu::RowGradient> rows;
  std::vector<double> expected(2 * kWidth * kBins);
  cpu::SplitRule rule = {0, 0, 0.5, 3};
  for (int32_t row = 0; row < kRows; row += 3) {
    // Of few digits: sums are exact.
    const float gradient = std::round(8 * random.Normal(5000 + static_cast<uint64_t>(row)));
    rows.push_back({row, gradient, 0.25F});
    rule.gradient += static_cast<double>(gradient);
    rule.curvature += 0.25;
    for (int64_t f = 0; f < kWidth; ++f) {
      const auto at = static_cast<size_t>(f * kBins + bytes[static_cast<size_t>(row * kWidth + f)]);
      expected[2 * at] += static_cast<double>(gradient);
      expected[2 * at + 1] += 0.25;
    }
  }
  double gain = -1, left = 0, weight = 0;
  int64_t bin = 0;
  for (int64_t b = 0; b + 1 < kBins; ++b) {
    left += expected[static_cast<size_t>(2 * b)];
    weight += expected[static_cast<size_t>(2 * b + 1)];
    const double right = rule.gradient - left, other = rule.curvature - weight;
    const double own = left * left / (weight + 0.5) + right * right / (other + 0.5);
    if (weight < 3 || other < 3 || own <= gain) continue;
    gain = own;
    bin = b;
  }
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    std::vector<double> sums(expected.size()), wide(expected.size()), room(3 * kBins);
    const auto count = static_cast<int64_t>(rows.size());
    kernels.AddHistogramOfBytes(rows.data(), count, bytes.data(), kBins, sums.data());
    kernels.AddHistogramOfShorts(rows.data(), count, shorts.data(), kBins, wide.data());
    EXPECT_EQ(sums, expected);
    EXPECT_EQ(wide, expected);
    const cpu::Split split = kernels.FindSplit(sums.data(), kBins, rule, room.data());
    EXPECT_EQ(split.bin, bin);
    EXPECT_NEAR(split.gain, gain, 1e-12 * gain);
    rule.least_curvature = rule.curvature;
    EXPECT_EQ(kernels.FindSplit(sums.data(), kBins, rule, room.data()).gain, -1);
    rule.least_curvature = 3;
  });
}

TEST(LearnerKernelsTest, BitsThatDiffer) {
  const std::vector<uint64_t> x = {0, ~uint64_t{0}, 0xF0}, y = {1, ~uint64_t{0}, 0x1F};
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    EXPECT_EQ(kernels.CountDifferent(x.data(), y.data(), 3), 1 + 7);
    EXPECT_EQ(kernels.CountDifferent(x.data(), y.data(), 0), 0);
  });
}

// Of equal ones the first counts.
TEST(LearnerKernelsTest, LeastTakesTheFirst) {
  const std::vector<double> squares(5 * kLanes, 2.5);
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    double least[kLanes], which[kLanes];
    kernels.Least(squares.data(), 5, least, which);
    for (int64_t lane = 0; lane < kLanes; ++lane) EXPECT_EQ(which[lane], 0);
  });
}

TEST(LearnerKernelsTest, ExponentialsAreNearThoseOfTheLibrary) {
  std::vector<double> x = {0, -0.0, 1, -1, 350, -350, 353.9, -353.9, -1000, 1e-20, 500};
  for (int i = -2000; i < 2000; ++i) x.push_back(i * 0.1703);
  std::vector<std::vector<double>> all;
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    std::vector<double> y = x;
    kernels.Exps(2, static_cast<int64_t>(y.size()), y.data());
    for (size_t i = 0; i < y.size(); ++i) {
      const double expected = std::exp(std::clamp(2 * x[i], -708.0, 709.0));
      EXPECT_NEAR(y[i] / expected, 1, 5e-16) << x[i];
    }
    all.push_back(y);
  });
  for (const std::vector<double>& y : all) EXPECT_EQ(y, all[0]);
}

TEST(LearnerKernelsTest, RotationsAndUpdatesOfRows) {
  constexpr int64_t kRows = 6, kStride = 40, kSize = 37;
  const auto first = Draw<double>(kRows * kStride, 1);
  const std::vector<cpu::Rotation> turns = {
      {4, 0.6, 0.8}, {3, 0.8, 0.6}, {2, 0.6, -0.8}, {0, 0.28, 0.96}, {3, 0.96, 0.28}};
  std::vector<double> expected = first;
  for (const cpu::Rotation& turn : turns) {
    for (int64_t k = 0; k < cpu::kStrip; ++k) {
      double& low = expected[static_cast<size_t>(turn.row * kStride + k)];
      double& high = expected[static_cast<size_t>((turn.row + 1) * kStride + k)];
      const volatile double a = turn.sine * low, b = turn.cosine * high;
      const volatile double c = turn.cosine * low, d = turn.sine * high;
      high = a + b;
      low = c - d;
    }
  }
  const auto x = Draw<double>(kSize, 2), y = Draw<double>(kSize, 3), u = Draw<double>(kSize, 4);
  std::vector<double> sums;
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    std::vector<double> rows = first;
    kernels.Rotate(turns.data(), static_cast<int64_t>(turns.size()), rows.data(), kStride);
    EXPECT_EQ(rows, expected);
    std::vector<double> row(first.begin(), first.begin() + kSize);
    sums.push_back(kernels.UpdateAndDot({2, x.data(), -3, y.data()}, u.data(), kSize, row.data()));
    double dot = 0;
    for (size_t k = 0; k < kSize; ++k) {
      EXPECT_NEAR(row[k], first[k] + 2 * x[k] - 3 * y[k], 1e-14);
      dot += row[k] * u[k];
    }
    EXPECT_NEAR(sums.back(), dot, 1e-12);
    EXPECT_EQ(sums.back(), sums[0]);
    std::vector<double> again(first.begin(), first.begin() + kSize), products(y);
    EXPECT_EQ(kernels.UpdateAndMultiply({2, x.data(), -3, y.data()}, u.data(), 0.5, kSize,
                                        again.data(), products.data()),
              sums.back());
    EXPECT_EQ(again, row);
    for (size_t k = 0; k < kSize; ++k) {
      const volatile double part = 0.5 * row[k];
      EXPECT_EQ(products[k], y[k] + part);
    }
    const std::vector<double> kept = row;
    kernels.UpdateAndDot({}, u.data(), kSize, row.data());
    EXPECT_EQ(row, kept);
  });
}

TEST(LearnerKernelsTest, StepsOfReservoirs) {
  constexpr int64_t kUnits = 5, kFanIn = 3;
  const auto weights = Draw<float>(kUnits * kFanIn, 1);
  const std::vector<int64_t> sources = {1, 2, 3, 0, 2, 4, 0, 1, 4, 1, 2, 4, 0, 2, 3};
  const auto x = Draw<float>(kUnits * kLanes, 2);
  const auto first = Draw<float>(kUnits * kLanes, 3);
  std::vector<float> expected = first;
  for (size_t i = 0; i < expected.size(); ++i) {
    for (size_t k = 0; k < kFanIn; ++k) {
      const size_t at = i / kLanes * kFanIn + k;
      const volatile float part =
          weights[at] * x[static_cast<size_t>(sources[at] * kLanes) + i % kLanes];
      expected[i] += part;
    }
  }
  std::vector<std::vector<float>> states;
  ForIsas([&](const cpu::LearnerKernels& kernels) {
    std::vector<float> sums = first;
    kernels.AddHeard(weights.data(), sources.data(), kUnits, kFanIn, x.data(), sums.data());
    EXPECT_EQ(sums, expected);
    std::vector<float> state = x, v = x, spikes(x.size()), trace(x.size(), 0.5f);
    const auto size = static_cast<int64_t>(x.size());
    kernels.Leak(sums.data(), 0.25f, size, state.data());
    kernels.Fire(sums.data(), 0.5f, 0.75f, size, v.data(), spikes.data(), trace.data());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(state[i], 0.75 * x[i] + 0.25 * std::tanh(sums[i]), 1e-6);
      const float potential = x[i] * 0.5f + sums[i];
      EXPECT_EQ(spikes[i], potential >= 1 ? 1 : 0);
      EXPECT_EQ(v[i], potential >= 1 ? 0 : potential);
      EXPECT_EQ(trace[i], 0.5f * 0.75f + 0.25f * spikes[i]);
    }
    std::vector<double> lanes(kLanes, 1);
    const std::vector<double> wide(x.begin(), x.end());
    kernels.AddScaledLanes(weights.data(), kUnits, wide.data(), lanes.data());
    std::vector<float> shares(kLanes);
    kernels.Sigmoids(lanes.data(), kLanes, shares.data());
    for (size_t lane = 0; lane < kLanes; ++lane) {
      double sum = 1;
      for (size_t k = 0; k < kUnits; ++k) sum += double{weights[k]} * wide[k * kLanes + lane];
      EXPECT_NEAR(lanes[lane], sum, 1e-13);
      EXPECT_NEAR(shares[lane], 1 / (1 + std::exp(-sum)), 1e-6);
    }
    state.insert(state.end(), shares.begin(), shares.end());
    states.push_back(state);
  });
  for (const std::vector<float>& state : states) EXPECT_EQ(state, states[0]);
}

}  // namespace
}  // namespace beamline::engine
