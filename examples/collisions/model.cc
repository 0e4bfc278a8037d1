#include "examples/collisions/model.h"

#include <cmath>
#include <utility>

#include "examples/collisions/portable_math.h"

namespace beamline::collisions {
namespace {

double Square(double x) { return x * x; }

// Where m^2 = M^2 + M width tan(angle).
double BreitWignerAngle(const Parameters& p, double mass) {
  return Atan2(Square(mass) - Square(p.mass), p.mass * p.width);
}

double DrawSignalMass(const Parameters& p, Stream& random) {
  const double low = BreitWignerAngle(p, p.lowest_mass);
  const double high = BreitWignerAngle(p, p.highest_mass);
  const SinCos angle = SinCosOf(low + random.Uniform() * (high - low));
  return std::sqrt(Square(p.mass) + p.mass * p.width * angle.sin / angle.cos);
}

// A truncated exponential.
double DrawBackgroundMass(const Parameters& p, Stream& random) {
  const double tail = Exp(-(p.highest_mass - p.lowest_mass) / p.generated_slope);
  return p.lowest_mass - p.generated_slope * Log(1.0 - random.Uniform() * (1.0 - tail));
}

double FallingDensity(const Parameters& p, double slope, double mass) {
  const double tail = Exp(-(p.highest_mass - p.lowest_mass) / slope);
  return Exp(-(mass - p.lowest_mass) / slope) / (slope * (1.0 - tail));
}

double DrawCosTheta(const Parameters& p, bool is_signal, Stream& random) {
  const double u = 2.0 * random.Uniform() - 1.0;
  if (!is_signal) {
    // The integral of 1 / (a^2 - c^2) is atanh(c / a) / a.
    const double a = p.forwardness;
    const double ratio = Exp(u * Log((a + 1.0) / (a - 1.0)));
    return a * (ratio - 1.0) / (ratio + 1.0);
  }
  if (p.spin == 0) return u;
  // c^3 + 3 c = 4 u, by Cardano.
  const double root = std::sqrt(4.0 * u * u + 1.0);
  const double cube = Exp(Log(2.0 * std::fabs(u) + root) / 3.0);
  const double c = cube - 1.0 / cube;
  return u < 0.0 ? -c : c;
}

double Wrap(double phi) {
  if (phi > kPi) return phi - 2.0 * kPi;
  if (phi <= -kPi) return phi + 2.0 * kPi;
  return phi;
}

Particle Measure(const Parameters& p, const Particle& particle, Stream& random) {
  Particle measured;
  measured.e = EnergyFromScale(p, EnergyScale(p, particle.e) + random.Normal());
  measured.eta = particle.eta + p.angular_resolution * random.Normal();
  measured.phi = Wrap(particle.phi + p.angular_resolution * random.Normal());
  return measured;
}

bool Keep(const Parameters& p, const Particle& particle) {
  return particle.pt() >= p.least_pt && std::fabs(particle.eta) <= p.largest_eta;
}

}  // namespace

std::string Parameters::Check() const {
  if (!(lowest_mass >= 1.0 && highest_mass > lowest_mass && highest_mass <= 1e5)) {
    return "the mass window must be within 1 to 100000 GeV";
  }
  if (!(mass > lowest_mass && mass < highest_mass)) {
    return "mass must be inside the mass window, " + std::to_string(std::lround(lowest_mass)) +
           " to " + std::to_string(std::lround(highest_mass)) + " GeV";
  }
  if (!(width > 0.0 && width <= 0.5 * mass)) return "width must be above 0, at most half the mass";
  if (spin != 0 && spin != 1) return "spin must be 0 or 1";
  if (2.0 * least_pt > lowest_mass) return "the mass window must start above twice the least pt";
  return "";
}

Stream::Stream(uint64_t seed, uint64_t stream) : state_(seed) {
  state_ = Next() ^ (stream * 0xd1342543de82ef95u);
  Next();
}

uint64_t Stream::Next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Stream::Uniform() { return (static_cast<double>(Next() >> 12) + 0.5) * 0x1p-52; }

double Stream::Normal() {
  const double radius = std::sqrt(-2.0 * Log(Uniform()));
  return radius * SinCosOf(2.0 * kPi * Uniform()).cos;
}

double Particle::pt() const { return e / Cosh(eta); }

std::array<FourVector, 2> Decay(const Truth& truth) {
  const double sin_theta = std::sqrt(1.0 - Square(truth.cos_theta));
  const SinCos decay = SinCosOf(truth.phi);
  const SinCos azimuth = SinCosOf(truth.azimuth);
  const double transverse_mass = std::sqrt(Square(truth.mass) + Square(truth.pt));
  const double gamma_t = transverse_mass / truth.mass;
  const double beta_gamma_t = truth.pt / truth.mass;
  const double cosh_y = Cosh(truth.rapidity);
  const double sinh_y = Sinh(truth.rapidity);
  std::array<FourVector, 2> momenta;
  for (int i = 0; i < 2; ++i) {
    const double p = (i == 0 ? 0.5 : -0.5) * truth.mass;
    const double e = 0.5 * truth.mass;
    const double along = p * sin_theta * decay.cos;
    const double across = p * sin_theta * decay.sin;
    const double z = p * truth.cos_theta;
    const double boosted_e = gamma_t * e + beta_gamma_t * along;
    const double boosted_along = gamma_t * along + beta_gamma_t * e;
    momenta[i].x = boosted_along * azimuth.cos - across * azimuth.sin;
    momenta[i].y = boosted_along * azimuth.sin + across * azimuth.cos;
    momenta[i].z = z * cosh_y + boosted_e * sinh_y;
    momenta[i].e = boosted_e * cosh_y + z * sinh_y;
  }
  return momenta;
}

Particle ToParticle(const FourVector& momentum) {
  const double pt = std::sqrt(Square(momentum.x) + Square(momentum.y));
  return {momentum.e, Asinh(momentum.z / pt), Atan2(momentum.y, momentum.x)};
}

FourVector ToFourVector(const Particle& particle) {
  const double pt = particle.pt();
  const SinCos phi = SinCosOf(particle.phi);
  return {particle.e, pt * phi.cos, pt * phi.sin, pt * Sinh(particle.eta)};
}

Truth Reconstruct(const Pair& pair) {
  const FourVector a = ToFourVector(pair[0]);
  const FourVector b = ToFourVector(pair[1]);
  Truth truth;
  const double d_eta = pair[0].eta - pair[1].eta;
  const double d_phi = pair[0].phi - pair[1].phi;
  const double m2 = 2.0 * pair[0].pt() * pair[1].pt() * (Cosh(d_eta) - SinCosOf(d_phi).cos);
  const double pt2 = Square(a.x + b.x) + Square(a.y + b.y);
  truth.mass = std::sqrt(m2);
  truth.pt = std::sqrt(pt2);
  truth.rapidity = 0.5 * Log((a.e + b.e + a.z + b.z) / (a.e + b.e - a.z - b.z));
  truth.azimuth = Atan2(a.y + b.y, a.x + b.x);
  const double numerator = (a.e + a.z) * (b.e - b.z) - (a.e - a.z) * (b.e + b.z);
  truth.cos_theta = numerator / (truth.mass * std::sqrt(m2 + pt2));
  return truth;
}

double MassDensity(const Parameters& p, bool is_signal, double mass) {
  if (mass < p.lowest_mass || mass > p.highest_mass) return 0.0;
  if (!is_signal) return FallingDensity(p, p.background_slope, mass);
  const double area = BreitWignerAngle(p, p.highest_mass) - BreitWignerAngle(p, p.lowest_mass);
  const double pole = p.mass * p.width;
  return 2.0 * mass * pole / ((Square(Square(mass) - Square(p.mass)) + Square(pole)) * area);
}

double PtDensity(const Parameters& p, bool is_signal, double pt) {
  const double tau = is_signal ? p.signal_tau : p.background_tau;
  return pt / Square(tau) * Exp(-pt / tau);
}

double RapidityDensity(const Parameters& p, bool is_signal, double rapidity) {
  const double sigma = is_signal ? p.signal_rapidity : p.background_rapidity;
  return Exp(-0.5 * Square(rapidity / sigma)) / (sigma * std::sqrt(2.0 * kPi));
}

double CosThetaDensity(const Parameters& p, bool is_signal, double cos_theta) {
  const double c2 = Square(cos_theta);
  if (!is_signal) {
    const double a = p.forwardness;
    return a / (Log((a + 1.0) / (a - 1.0)) * (Square(a) - c2));
  }
  return p.spin == 0 ? 0.5 : 0.375 * (1.0 + c2);
}

double EnergyScale(const Parameters& p, double e) {
  return 2.0 / p.constant * Asinh(p.constant / p.stochastic * std::sqrt(e));
}

double EnergyFromScale(const Parameters& p, double u) {
  return Square(p.stochastic / p.constant * Sinh(0.5 * p.constant * u));
}

double EnergyResolution(const Parameters& p, double e) {
  return std::sqrt(Square(p.stochastic) * e + Square(p.constant * e));
}

Truth DrawTruth(const Parameters& p, bool is_signal, Stream& random) {
  Truth truth;
  truth.mass = is_signal ? DrawSignalMass(p, random) : DrawBackgroundMass(p, random);
  const double tau = is_signal ? p.signal_tau : p.background_tau;
  truth.pt = -tau * (Log(random.Uniform()) + Log(random.Uniform()));
  truth.rapidity = (is_signal ? p.signal_rapidity : p.background_rapidity) * random.Normal();
  truth.azimuth = kPi * (2.0 * random.Uniform() - 1.0);
  truth.cos_theta = DrawCosTheta(p, is_signal, random);
  truth.phi = kPi * (2.0 * random.Uniform() - 1.0);
  return truth;
}

CollisionEvent Generate(const Parameters& p, uint64_t seed, uint64_t index) {
  Stream random(seed, index);
  CollisionEvent event;
  event.is_signal = random.Uniform() < p.signal_fraction;
  while (true) {
    event.truth = DrawTruth(p, event.is_signal, random);
    const std::array<FourVector, 2> momenta = Decay(event.truth);
    for (int i = 0; i < 2; ++i) event.measured[i] = Measure(p, ToParticle(momenta[i]), random);
    if (Keep(p, event.measured[0]) && Keep(p, event.measured[1])) break;
  }
  if (event.measured[0].pt() < event.measured[1].pt()) {
    std::swap(event.measured[0], event.measured[1]);
  }
  if (!event.is_signal) {
    event.raw_weight = FallingDensity(p, p.background_slope, event.truth.mass) /
                       FallingDensity(p, p.generated_slope, event.truth.mass);
  }
  return event;
}

}  // namespace beamline::collisions
