// The physics, the densities and the optimum of examples/collisions, each against something else:
// libm, conservation laws, numerical derivatives and integrals, the sample itself.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <numbers>

#include "base/digest.h"
#include "base/file.h"
#include "examples/collisions/auc.h"
#include "examples/collisions/likelihood.h"
#include "examples/collisions/model.h"
#include "examples/collisions/portable_math.h"

namespace beamline::collisions {
namespace {

using std::numbers::pi;

TEST(PortableMath, AgreesWithLibm) {
  Stream random(3, 0);
  for (int i = 0; i < 100'000; ++i) {
    const double x = 40.0 * (random.Uniform() - 0.5);
    const double y = 40.0 * (random.Uniform() - 0.5);
    ASSERT_NEAR(Exp(x) / std::exp(x), 1.0, 1e-14) << x;
    ASSERT_NEAR(Log(std::exp(x)), x, 1e-14 * std::max(1.0, std::fabs(x))) << x;
    ASSERT_NEAR(SinCosOf(x).sin, std::sin(x), 1e-14) << x;
    ASSERT_NEAR(SinCosOf(x).cos, std::cos(x), 1e-14) << x;
    ASSERT_NEAR(Atan2(y, x), std::atan2(y, x), 1e-14) << y << " " << x;
    ASSERT_NEAR(Asinh(x), std::asinh(x), 2e-14) << x;
    ASSERT_NEAR(Cosh(x) / std::cosh(x), 1.0, 1e-14) << x;
    ASSERT_NEAR(Sinh(x) / std::sinh(x), 1.0, 1e-12) << x;
  }
  EXPECT_EQ(Atan2(0.0, 1.0), 0.0);
  EXPECT_NEAR(Atan2(0.0, -1.0), pi, 1e-15);
  EXPECT_NEAR(Atan2(-1.0, 0.0), -pi / 2, 1e-15);
}

TEST(Kinematics, DecayConservesEnergyAndMomentumAndCanBeUndone) {
  const Parameters parameters;
  for (int i = 0; i < 2'000; ++i) {
    Stream random(7, i);
    const Truth truth = DrawTruth(parameters, i % 2 == 0, random);
    const std::array<FourVector, 2> p = Decay(truth);
    for (const FourVector& one : p) {
      const double m2 = one.e * one.e - one.x * one.x - one.y * one.y - one.z * one.z;
      ASSERT_NEAR(m2 / (one.e * one.e), 0.0, 1e-12) << "the daughters are massless";
    }
    const FourVector sum = {p[0].e + p[1].e, p[0].x + p[1].x, p[0].y + p[1].y, p[0].z + p[1].z};
    const double mass_t = std::hypot(truth.mass, truth.pt);
    ASSERT_NEAR(sum.e / (mass_t * std::cosh(truth.rapidity)), 1.0, 1e-12);
    ASSERT_NEAR(sum.z, mass_t * std::sinh(truth.rapidity), 1e-9 * sum.e);
    ASSERT_NEAR(sum.x, truth.pt * std::cos(truth.azimuth), 1e-9 * sum.e);
    ASSERT_NEAR(sum.y, truth.pt * std::sin(truth.azimuth), 1e-9 * sum.e);

    const Truth again = Reconstruct({ToParticle(p[0]), ToParticle(p[1])});
    ASSERT_NEAR(again.mass / truth.mass, 1.0, 1e-8);
    ASSERT_NEAR(again.pt, truth.pt, 1e-6);
    ASSERT_NEAR(again.rapidity, truth.rapidity, 1e-8);
    ASSERT_NEAR(again.cos_theta, truth.cos_theta, 1e-7);
    ASSERT_NEAR(std::remainder(again.azimuth - truth.azimuth, 2 * pi), 0.0, 1e-5);
  }
}

double Integrate(const std::function<double(double)>& f, double low, double high) {
  constexpr int kSteps = 20'000;
  double sum = 0.0;
  for (int i = 0; i < kSteps; ++i) sum += f(low + (high - low) * (i + 0.5) / kSteps);
  return sum * (high - low) / kSteps;
}

// The largest distance between the distribution of `values` and the one of density `f` (Kolmogorov
// and Smirnov), times sqrt(n): above 1.95 by chance in one of a thousand samples.
double Distance(std::vector<double> values, const std::function<double(double)>& f, double low,
                double high) {
  std::sort(values.begin(), values.end());
  constexpr int kSteps = 20'000;
  double cdf = 0.0;
  double largest = 0.0;
  size_t below = 0;
  for (int i = 0; i < kSteps; ++i) {
    const double edge = low + (high - low) * (i + 1.0) / kSteps;
    cdf += f(edge - 0.5 * (high - low) / kSteps) * (high - low) / kSteps;
    while (below < values.size() && values[below] <= edge) ++below;
    largest = std::max(largest, std::fabs(static_cast<double>(below) / values.size() - cdf));
  }
  return largest * std::sqrt(static_cast<double>(values.size()));
}

TEST(Densities, AreNormalisedAndAreWhatIsDrawn) {
  for (const int spin : {0, 1}) {
    Parameters p;
    p.spin = spin;
    for (const bool is_signal : {false, true}) {
      // The background is generated with another slope, and weighted.
      Parameters drawn = p;
      drawn.background_slope = p.generated_slope;
      const auto mass = [&](double x) { return MassDensity(drawn, is_signal, x); };
      const auto pt = [&](double x) { return PtDensity(p, is_signal, x); };
      const auto rapidity = [&](double x) { return RapidityDensity(p, is_signal, x); };
      const auto cosine = [&](double x) { return CosThetaDensity(p, is_signal, x); };
      EXPECT_NEAR(Integrate(mass, p.lowest_mass, p.highest_mass), 1.0, 1e-6);
      EXPECT_NEAR(Integrate(pt, 0.0, 2000.0), 1.0, 1e-6);
      EXPECT_NEAR(Integrate(rapidity, -12.0, 12.0), 1.0, 1e-6);
      EXPECT_NEAR(Integrate(cosine, -1.0, 1.0), 1.0, 1e-6);
      std::vector<double> values[4];
      for (int i = 0; i < 20'000; ++i) {
        Stream random(11, i);
        const Truth truth = DrawTruth(p, is_signal, random);
        values[0].push_back(truth.mass);
        values[1].push_back(truth.pt);
        values[2].push_back(truth.rapidity);
        values[3].push_back(truth.cos_theta);
      }
      EXPECT_LT(Distance(values[0], mass, p.lowest_mass, p.highest_mass), 1.95);
      EXPECT_LT(Distance(values[1], pt, 0.0, 2000.0), 1.95);
      EXPECT_LT(Distance(values[2], rapidity, -12.0, 12.0), 1.95);
      EXPECT_LT(Distance(values[3], cosine, -1.0, 1.0), 1.95);
    }
  }
}

TEST(Densities, ABreitWignerHasItsQuantiles) {
  // Wide open, half of all m^2 lie within M Gamma of M^2.
  Parameters p;
  p.lowest_mass = 50.0;
  p.highest_mass = 100'000.0;
  p.width = 2.0;
  int below = 0;
  int near = 0;
  constexpr int kEvents = 20'000;
  for (int i = 0; i < kEvents; ++i) {
    Stream random(13, i);
    const double m2 = std::pow(DrawTruth(p, true, random).mass, 2);
    below += m2 < p.mass * p.mass;
    near += std::fabs(m2 - p.mass * p.mass) < p.mass * p.width;
  }
  EXPECT_NEAR(static_cast<double>(below) / kEvents, 0.5, 0.015);
  EXPECT_NEAR(static_cast<double>(near) / kEvents, 0.5, 0.015);
}

TEST(Detector, ResolutionIsTheDerivativeOfTheEnergyScale) {
  const Parameters p;
  for (const double e : {5.0, 50.0, 500.0, 5000.0}) {
    EXPECT_NEAR(EnergyFromScale(p, EnergyScale(p, e)) / e, 1.0, 1e-12);
    const double h = 1e-4 * e;
    const double slope = (EnergyScale(p, e + h) - EnergyScale(p, e - h)) / (2 * h);
    EXPECT_NEAR(slope * EnergyResolution(p, e), 1.0, 1e-6);
  }
}

std::array<double, 6> Coordinates(const Truth& truth) {
  const std::array<FourVector, 2> p = Decay(truth);
  const Particle a = ToParticle(p[0]);
  const Particle b = ToParticle(p[1]);
  return {a.e, a.eta, a.phi, b.e, b.eta, b.phi};
}

double Determinant(std::array<std::array<double, 6>, 6> m) {
  double determinant = 1.0;
  for (int i = 0; i < 6; ++i) {
    int pivot = i;
    for (int k = i + 1; k < 6; ++k) pivot = std::fabs(m[k][i]) > std::fabs(m[pivot][i]) ? k : pivot;
    if (pivot != i) std::swap(m[pivot], m[i]);
    determinant *= m[i][i] * (pivot == i ? 1.0 : -1.0);
    for (int k = i + 1; k < 6; ++k) {
      const double factor = m[k][i] / m[i][i];
      for (int c = i; c < 6; ++c) m[k][c] -= factor * m[i][c];
    }
  }
  return determinant;
}

TEST(Likelihood, TheDensityOfWhatCanBeSeenHasTheRightJacobian) {
  const Parameters p;
  for (int i = 0; i < 200; ++i) {
    Stream random(17, i);
    const Truth truth = DrawTruth(p, true, random);
    double Truth::*const fields[6] = {&Truth::mass,    &Truth::pt,        &Truth::rapidity,
                                      &Truth::azimuth, &Truth::cos_theta, &Truth::phi};
    if (std::fabs(truth.cos_theta) > 0.99) continue;
    std::array<std::array<double, 6>, 6> jacobian;
    for (int k = 0; k < 6; ++k) {
      const double h = 1e-5 * (k < 2 ? 10.0 : 1.0);
      Truth up = truth;
      Truth down = truth;
      up.*fields[k] += h;
      down.*fields[k] -= h;
      const std::array<double, 6> above = Coordinates(up);
      const std::array<double, 6> below = Coordinates(down);
      for (int c = 0; c < 6; ++c) {
        const double difference = above[c] - below[c];
        const bool is_phi = c % 3 == 2;
        jacobian[k][c] = (is_phi ? std::remainder(difference, 2 * pi) : difference) / (2 * h);
      }
    }
    const std::array<FourVector, 2> momenta = Decay(truth);
    const Likelihoods density = TrueDensity(p, {ToParticle(momenta[0]), ToParticle(momenta[1])});
    for (const bool is_signal : {false, true}) {
      const double drawn = MassDensity(p, is_signal, truth.mass) *
                           PtDensity(p, is_signal, truth.pt) *
                           RapidityDensity(p, is_signal, truth.rapidity) *
                           CosThetaDensity(p, is_signal, truth.cos_theta) / (4 * pi * pi);
      const double seen = is_signal ? density.signal : density.background;
      ASSERT_NEAR(seen * std::fabs(Determinant(jacobian)) / drawn, 1.0, 1e-3) << "event " << i;
    }
  }
}

// The same integral without any thought: a fine grid in all six dimensions.
Likelihoods BruteForce(const Parameters& p, const Pair& measured) {
  constexpr int kEnergies = 41;
  constexpr double kReach = 4.5;
  // Three-point Gauss-Hermite, exact to degree 5.
  const double nodes[3] = {-std::sqrt(3.0), 0.0, std::sqrt(3.0)};
  const double weights[3] = {1.0 / 6, 2.0 / 3, 1.0 / 6};
  Likelihoods sum;
  for (int grid = 0; grid < 81; ++grid) {
    const int at[4] = {grid % 3, grid / 3 % 3, grid / 9 % 3, grid / 27};
    Pair pair = measured;
    double angles = 1.0;
    for (int k = 0; k < 4; ++k) {
      (k % 2 == 0 ? pair[k / 2].eta : pair[k / 2].phi) += p.angular_resolution * nodes[at[k]];
      angles *= weights[at[k]];
    }
    for (int i = 0; i < kEnergies * kEnergies; ++i) {
      const double x[2] = {kReach * (2.0 * (i % kEnergies) / (kEnergies - 1) - 1.0),
                           kReach * (2.0 * (i / kEnergies) / (kEnergies - 1) - 1.0)};
      double weight = angles;
      for (int k = 0; k < 2; ++k) {
        pair[k].e = EnergyFromScale(p, EnergyScale(p, measured[k].e) + x[k]);
        weight *= std::exp(-0.5 * x[k] * x[k]) / std::sqrt(2 * pi) * 2 * kReach / (kEnergies - 1) *
                  EnergyResolution(p, pair[k].e);
      }
      const Likelihoods density = TrueDensity(p, pair);
      sum.signal += weight * density.signal;
      sum.background += weight * density.background;
    }
  }
  return sum;
}

TEST(Likelihood, TheFastIntegralAgreesWithAFineGrid) {
  for (const int spin : {0, 1}) {
    Parameters p;
    p.spin = spin;
    const LikelihoodModel model(p);
    int compared = 0;
    for (uint64_t i = 0; compared < 5; ++i) {
      const CollisionEvent event = Generate(p, 19, i);
      const double mass = Reconstruct(event.measured).mass;
      // At the ends of the window both densities are cut off, and no rule is exact.
      if (mass < 1.3 * p.lowest_mass || mass > 0.8 * p.highest_mass) continue;
      ++compared;
      const Likelihoods fast = model.Of(event.measured);
      const Likelihoods fine = BruteForce(p, event.measured);
      EXPECT_NEAR(fast.background / fine.background, 1.0, 0.01) << "mass " << mass;
      EXPECT_NEAR(fast.signal / fine.signal, 1.0, 0.02) << "mass " << mass;
    }
  }
}

struct Sample {
  std::vector<CollisionEvent> events;
  std::vector<Likelihoods> likelihoods;
};

Sample MakeSample(const Parameters& p, uint64_t count) {
  Sample sample;
  const LikelihoodModel model(p);
  for (uint64_t i = 0; i < count; ++i) {
    sample.events.push_back(Generate(p, 23, i));
    sample.likelihoods.push_back(model.Of(sample.events.back().measured));
  }
  return sample;
}

double AucOf(const Sample& sample, const std::function<double(size_t)>& score) {
  std::vector<Scored> scored;
  for (size_t i = 0; i < sample.events.size(); ++i) {
    scored.push_back({score(i), sample.events[i].raw_weight, sample.events[i].is_signal});
  }
  return WeightedAuc(scored).value;
}

TEST(Optimum, IsAboveEverySimpleObservable) {
  const Parameters p;
  const Sample sample = MakeSample(p, 20'000);
  const double best = AucOf(sample, [&](size_t i) { return sample.likelihoods[i].score(); });
  EXPECT_GT(best, 0.94);
  EXPECT_LT(best, 0.97);
  const std::vector<std::function<double(const Pair&)>> observables = {
      [&](const Pair& x) { return -std::fabs(Reconstruct(x).mass - p.mass); },
      [](const Pair& x) { return Reconstruct(x).mass; },
      [](const Pair& x) { return Reconstruct(x).pt; },
      [](const Pair& x) { return -std::fabs(Reconstruct(x).rapidity); },
      [](const Pair& x) { return -std::fabs(Reconstruct(x).cos_theta); },
      [](const Pair& x) { return x[0].pt(); },
      [](const Pair& x) { return x[1].pt(); },
      [](const Pair& x) { return x[0].e + x[1].e; },
      [](const Pair& x) { return -std::fabs(x[0].eta); },
      [](const Pair& x) { return x[0].phi; }};
  for (size_t k = 0; k < observables.size(); ++k) {
    const double auc =
        AucOf(sample, [&](size_t i) { return observables[k](sample.events[i].measured); });
    EXPECT_LT(std::max(auc, 1.0 - auc), best - 0.005) << "observable " << k;
  }
}

TEST(Optimum, TheRatioIsTheOddsThatTheSampleShows) {
  const Parameters p;
  const Sample sample = MakeSample(p, 40'000);
  // In bins of the ratio, weighted signal / background must go as the ratio, with one factor for
  // all.
  constexpr int kBins = 8;
  double sums[2][kBins] = {};
  double squares[2][kBins] = {};
  double expected[kBins] = {};
  for (size_t i = 0; i < sample.events.size(); ++i) {
    const CollisionEvent& event = sample.events[i];
    const double ratio = sample.likelihoods[i].ratio();
    const int bin = static_cast<int>(std::clamp(std::log2(ratio) + 4.0, 0.0, kBins - 1.0));
    sums[event.is_signal][bin] += event.raw_weight;
    squares[event.is_signal][bin] += event.raw_weight * event.raw_weight;
    if (!event.is_signal) expected[bin] += event.raw_weight * ratio;
  }
  double factor = 0.0;
  for (int bin = 0; bin < kBins; ++bin) factor += expected[bin];
  double total = 0.0;
  for (int bin = 0; bin < kBins; ++bin) total += sums[1][bin];
  factor = total / factor;
  for (int bin = 0; bin < kBins; ++bin) {
    const double error = std::sqrt(squares[1][bin] / std::pow(sums[1][bin], 2) +
                                   squares[0][bin] / std::pow(sums[0][bin], 2));
    EXPECT_NEAR(expected[bin] * factor / sums[1][bin], 1.0, 4.0 * error + 0.02) << "bin " << bin;
  }
}

TEST(WeightedAuc, CountsPairsByWeightAndTiesByHalf) {
  EXPECT_DOUBLE_EQ(WeightedAuc({{1, 1, false}, {2, 1, true}}).value, 1.0);
  EXPECT_DOUBLE_EQ(WeightedAuc({{1, 1, false}, {1, 1, true}}).value, 0.5);
  // Of 2 x 4 units of weight, 2 x 1 and 1 x 3 are in order.
  EXPECT_DOUBLE_EQ(WeightedAuc({{1, 1, false}, {2, 1, true}, {3, 3, false}, {4, 1, true}}).value,
                   5.0 / 8);
}

int ExitCodeOf(const std::string& arguments) {
  const std::string command =
      std::string(BEAMLINE_COLLISIONS) + " " + arguments + " > /dev/null 2>&1";
  return WEXITSTATUS(std::system(command.c_str()));
}

TEST(Program, TheSameSeedGivesTheSameBytesEverywhere) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/a.csv";
  ASSERT_EQ(ExitCodeOf("--events 1000 --seed 1 --optimum-events 0 --output " + path), 0);
  // Made once, on x86-64 with GCC 12.
  EXPECT_EQ(*Sha256HexOfFile(path),
            "e2a78e155dc813f1e4ea46d429ce6383e79181e6125b1025f96fc5b4d7faa56c");
  ASSERT_EQ(
      ExitCodeOf("--events 1000 --seed 2 --optimum-events 0 --output " + folder.path() + "/b.csv"),
      0);
  EXPECT_NE(*Sha256HexOfFile(path), *Sha256HexOfFile(folder.path() + "/b.csv"));
}

TEST(Program, WeightsAddUpToTheCrossSections) {
  const TemporaryDirectory folder;
  ASSERT_EQ(ExitCodeOf("--events 3000 --output " + folder.path() + "/a.csv"), 0);
  std::string text = *ReadFile(folder.path() + "/a.csv");
  double sums[2] = {0.0, 0.0};
  size_t rows = 0;
  for (size_t at = text.find('\n') + 1; at < text.size(); at = text.find('\n', at) + 1, ++rows) {
    const size_t end = text.find('\n', at);
    const size_t label = text.rfind(',', end);
    const size_t weight = text.rfind(',', label - 1);
    sums[text[label + 1] == '1'] += std::strtod(text.c_str() + weight + 1, nullptr);
  }
  EXPECT_EQ(rows, 3000u);
  EXPECT_NEAR(sums[1], 5000.0, 0.01);
  EXPECT_NEAR(sums[0], 15000.0, 0.01);
}

TEST(Program, RefusesWhatMakesNoSense) {
  EXPECT_EQ(ExitCodeOf("--help"), 0);
  EXPECT_EQ(ExitCodeOf(""), 2);
  EXPECT_EQ(ExitCodeOf("--output /tmp/x --events -1"), 2);
  EXPECT_EQ(ExitCodeOf("--output /tmp/x --event 10"), 2);
  EXPECT_EQ(ExitCodeOf("--output /tmp/x --mass 10"), 2);
  EXPECT_EQ(ExitCodeOf("--output"), 2);
  EXPECT_EQ(ExitCodeOf("--events 1 --output /nonexistent/x"), 1);
}

}  // namespace
}  // namespace beamline::collisions
