#include "examples/collisions/likelihood.h"

#include <cmath>

#include "examples/collisions/portable_math.h"

namespace beamline::collisions {
namespace {

// Nodes and weights of the n-point Gauss-Hermite rule for exp(-x^2 / 2) / sqrt(2 pi): Newton's
// method on the orthonormal Hermite functions, which do not overflow.
void GaussHermite(int n, std::vector<double>& nodes, std::vector<double>& weights) {
  const auto evaluate = [n](double x, double& below) {
    double previous = 0.0;
    double value = 1.0;
    for (int k = 0; k < n; ++k) {
      const double next = (x * value - std::sqrt(static_cast<double>(k)) * previous) /
                          std::sqrt(static_cast<double>(k + 1));
      previous = value;
      value = next;
    }
    below = previous;
    return value;
  };
  // The roots lie within 2 sqrt(n), and no two are closer than the steps of this search.
  const double range = 2.0 * std::sqrt(static_cast<double>(n)) + 0.01;
  const int steps = 200 * n;
  double below = 0.0;
  double left = -range;
  double at_left = evaluate(left, below);
  for (int i = 1; i <= steps; ++i) {
    const double right = -range + 2.0 * range * i / steps;
    const double at_right = evaluate(right, below);
    if ((at_left < 0.0) != (at_right < 0.0)) {
      double x = 0.5 * (left + right);
      for (int k = 0; k < 50; ++k) {
        const double value = evaluate(x, below);
        x -= value / (std::sqrt(static_cast<double>(n)) * below);
      }
      evaluate(x, below);
      nodes.push_back(x);
      weights.push_back(1.0 / (n * below * below));
    }
    left = right;
    at_left = at_right;
  }
}

}  // namespace

Likelihoods TrueDensity(const Parameters& p, const Pair& pair) {
  const Truth t = Reconstruct(pair);
  const double cosh_1 = Cosh(pair[0].eta);
  const double cosh_2 = Cosh(pair[1].eta);
  // The azimuths are uniform: 1 / (2 pi)^2. The Jacobian is that of two-body phase space.
  const double jacobian = 2.0 * pair[0].e * pair[1].e /
                          (cosh_1 * cosh_1 * cosh_2 * cosh_2 * t.mass * t.pt) / (4.0 * kPi * kPi);
  const auto density = [&](bool is_signal) {
    return jacobian * MassDensity(p, is_signal, t.mass) * PtDensity(p, is_signal, t.pt) *
           RapidityDensity(p, is_signal, t.rapidity) * CosThetaDensity(p, is_signal, t.cos_theta);
  };
  return {density(true), density(false)};
}

LikelihoodModel::LikelihoodModel(const Parameters& parameters, int nodes)
    : parameters_(parameters) {
  GaussHermite(nodes, nodes_, weights_);
  // The densities at the pole and at rest, divided by what is computed there for each node.
  const Parameters& p = parameters_;
  const double constant = 2.0 / (4.0 * kPi * kPi) / std::sqrt(2.0 * kPi);
  const double pole = p.mass * p.width;
  signal_factor_ = constant * MassDensity(p, true, p.mass) * pole * pole / (2.0 * p.mass) /
                   (p.signal_tau * p.signal_tau * p.signal_rapidity);
  background_factor_ = constant * MassDensity(p, false, p.mass) *
                       std::exp(p.mass / p.background_slope) * CosThetaDensity(p, false, 0.0) *
                       p.forwardness * p.forwardness /
                       (p.background_tau * p.background_tau * p.background_rapidity);
}

Likelihoods LikelihoodModel::AtDirections(const Pair& pair, const std::vector<double>& energies_1,
                                          const std::vector<double>& energies_2) const {
  const Parameters& p = parameters_;
  // Momenta per unit of energy: for massless particles everything scales with the energies.
  const FourVector a = ToFourVector({1.0, pair[0].eta, pair[0].phi});
  const FourVector b = ToFourVector({1.0, pair[1].eta, pair[1].phi});
  const double opening = 2.0 * (1.0 - a.x * b.x - a.y * b.y - a.z * b.z);
  const double across = a.x * b.x + a.y * b.y;
  const double a_pt2 = a.x * a.x + a.y * a.y;
  const double b_pt2 = b.x * b.x + b.y * b.y;
  const double numerator = (1.0 + a.z) * (1.0 - b.z) - (1.0 - a.z) * (1.0 + b.z);
  Likelihoods sum;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const double e_1 = energies_1[i];
    for (size_t k = 0; k < nodes_.size() && e_1 > 0.0; ++k) {
      const double e_2 = energies_2[k];
      if (e_2 <= 0.0) continue;
      const double m2 = e_1 * e_2 * opening;
      const double mass = std::sqrt(m2);
      if (mass < p.lowest_mass || mass > p.highest_mass) continue;
      const double pt2 = e_1 * e_1 * a_pt2 + e_2 * e_2 * b_pt2 + 2.0 * e_1 * e_2 * across;
      const double pt = std::sqrt(pt2);
      const double e = e_1 + e_2;
      const double z = e_1 * a.z + e_2 * b.z;
      const double y = 0.5 * std::log((e + z) / (e - z));
      const double cos2 = e_1 * e_2 * numerator * numerator / (opening * (m2 + pt2));
      // The pt of the density cancels that of the Jacobian.
      const double common = weights_[i] * weights_[k] * EnergyResolution(p, e_1) *
                            EnergyResolution(p, e_2) * e_1 * e_2 / mass;
      const double off_pole = m2 - p.mass * p.mass;
      const double pole = p.mass * p.width;
      const double y_s = y / p.signal_rapidity;
      const double y_b = y / p.background_rapidity;
      sum.signal += common * 2.0 * mass / (off_pole * off_pole + pole * pole) *
                    (p.spin == 0 ? 0.5 : 0.375 * (1.0 + cos2)) *
                    std::exp(-pt / p.signal_tau - 0.5 * y_s * y_s);
      sum.background +=
          common / (p.forwardness * p.forwardness - cos2) *
          std::exp(-mass / p.background_slope - pt / p.background_tau - 0.5 * y_b * y_b);
    }
  }
  const double cosh_1 = Cosh(pair[0].eta);
  const double cosh_2 = Cosh(pair[1].eta);
  const double area = cosh_1 * cosh_1 * cosh_2 * cosh_2;
  return {sum.signal * signal_factor_ / area, sum.background * background_factor_ / area};
}

Likelihoods LikelihoodModel::Of(const Pair& measured) const {
  std::vector<double> energies[2];
  for (int i = 0; i < 2; ++i) {
    const double u = EnergyScale(parameters_, measured[i].e);
    for (const double node : nodes_) {
      energies[i].push_back(u + node > 0.0 ? EnergyFromScale(parameters_, u + node) : 0.0);
    }
  }
  // In four dimensions: one standard deviation times sqrt(4), each way along each axis.
  const double step = 2.0 * parameters_.angular_resolution;
  Likelihoods sum;
  for (int point = 0; point < 8; ++point) {
    Pair pair = measured;
    Particle& moved = pair[point / 4];
    (point / 2 % 2 == 0 ? moved.eta : moved.phi) += point % 2 == 0 ? step : -step;
    const Likelihoods at = AtDirections(pair, energies[0], energies[1]);
    sum.signal += at.signal / 8.0;
    sum.background += at.background / 8.0;
  }
  return sum;
}

}  // namespace beamline::collisions
