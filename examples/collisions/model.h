// Simulated collision events: what nature does, what the detector makes of it, and what is kept.
// The formulas and their sources are in README.md. Energies, masses and momenta in GeV, c = 1.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace beamline::collisions {

// The parameters of one run of the generator.
struct Parameters {
  // The resonance: pole mass and width, and its spin, 0 or 1. Unit: GeV.
  double mass = 400.0;
  double width = 20.0;
  int spin = 1;
  // Both classes have their true mass within these. Unit: GeV.
  double lowest_mass = 150.0;
  double highest_mass = 1000.0;
  // The background falls as exp(-m / slope); it is generated with the longer slope, so that its
  // tail is well filled, and weighted back. Unit: GeV.
  double background_slope = 120.0;
  double generated_slope = 180.0;
  // The background's decay angle: 1 / (a^2 - cos^2), an exchange in the t channel. Above 1.
  double forwardness = 1.1;
  // Transverse momentum: pt exp(-pt / tau). Unit: GeV.
  double signal_tau = 40.0;
  double background_tau = 25.0;
  // Rapidity: a Gaussian of this width.
  double signal_rapidity = 0.7;
  double background_rapidity = 1.1;
  // sigma(E) = sqrt(stochastic^2 E + constant^2 E^2). Units: sqrt(GeV); none.
  double stochastic = 0.25;
  double constant = 0.03;
  // Of eta and of phi.
  double angular_resolution = 0.005;
  // Kept if both particles have at least this pt (unit: GeV) and at most this |eta|, as measured.
  double least_pt = 25.0;
  double largest_eta = 2.5;
  // Share of generated events that are signal.
  double signal_fraction = 0.5;
  // Expected numbers of kept events, cross section x luminosity: femtobarns; 1 / femtobarn.
  double signal_cross_section_fb = 500.0;
  double background_cross_section_fb = 1500.0;
  double luminosity_per_fb = 10.0;

  // Empty: the parameters make sense. Otherwise which does not, and what it must be.
  std::string Check() const;
};

// Uniform numbers that depend on (seed, stream) and their position only: SplitMix64. Value.
class Stream {
 public:
  Stream(uint64_t seed, uint64_t stream);
  // In (0, 1), never either end; 53 bits.
  double Uniform();
  // Mean 0, variance 1 (Box and Muller).
  double Normal();

 private:
  uint64_t Next();
  uint64_t state_;
};

struct FourVector {
  double e = 0.0;
  double x = 0.0;
  double y = 0.0;
  double z = 0.0;
};

// What is drawn: the pair's mass, transverse momentum, rapidity, azimuth, and the direction of
// particle 1 in the Collins-Soper frame. Units: GeV; radians.
struct Truth {
  double mass = 0.0;
  double pt = 0.0;
  double rapidity = 0.0;
  double azimuth = 0.0;
  double cos_theta = 0.0;
  double phi = 0.0;
};

// One massless particle: energy (GeV), pseudorapidity, azimuth in (-pi, pi].
struct Particle {
  double e = 0.0;
  double eta = 0.0;
  double phi = 0.0;
  double pt() const;
};

using Pair = std::array<Particle, 2>;

struct CollisionEvent {
  bool is_signal = false;
  Truth truth;
  // As measured; the one of larger pt first.
  Pair measured;
  // True density / generated density, up to a factor per class.
  double raw_weight = 1.0;
};

// Two-body decay in the rest frame, boosted by pt across and by rapidity along the beam.
std::array<FourVector, 2> Decay(const Truth& truth);

// The direction and energy of a massless momentum, and back.
Particle ToParticle(const FourVector& momentum);
FourVector ToFourVector(const Particle& particle);

// The truth that Decay would turn into `pair`; the inverse of Decay, without phi.
Truth Reconstruct(const Pair& pair);

// Densities of what is drawn, each normalised to 1 over its range. Unit of the first two: 1/GeV.
double MassDensity(const Parameters& parameters, bool is_signal, double mass);
double PtDensity(const Parameters& parameters, bool is_signal, double pt);
double RapidityDensity(const Parameters& parameters, bool is_signal, double rapidity);
double CosThetaDensity(const Parameters& parameters, bool is_signal, double cos_theta);

// The energy on the scale where its resolution is 1: du = dE / sigma(E); and back.
double EnergyScale(const Parameters& parameters, double e);
double EnergyFromScale(const Parameters& parameters, double u);
// sigma(E). Unit: GeV.
double EnergyResolution(const Parameters& parameters, double e);

// Draws nature's part of one event.
Truth DrawTruth(const Parameters& parameters, bool is_signal, Stream& random);

// Event `index` of the sample: draws until the detector keeps one. Depends on the parameters, seed
// and index only, so that events can be made again in any order.
CollisionEvent Generate(const Parameters& parameters, uint64_t seed, uint64_t index);

}  // namespace beamline::collisions
