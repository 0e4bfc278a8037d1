// Densities over a search space as mixtures of kernels around trials (Parzen estimators).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "pipeline/search/space.h"

namespace beamline::pipeline::search {

// Where a trial lies in some dimensions.
using Place = std::vector<Cell>;

// One kernel for each trial, and one that is as wide as the space, the prior. A kernel is a product
// over the dimensions: a Gaussian on the scale of the dimension, cut off at its ends, or weights of
// its choices. The last 25 trials weigh as much as the prior, earlier ones less. Immutable.
class Parzen {
 public:
  // `trials` in the order of their numbers; each has a cell for each of `dimensions`.
  Parzen(const std::vector<const Dimension*>& dimensions, const std::vector<const Place*>& trials);

  // A kernel, drawn by its weight. unit: in [0, 1).
  size_t Kernel(double unit) const;
  // A number on the scale of dimension `d` of those given, drawn from `kernel`.
  double Draw(size_t kernel, size_t d, double unit) const;
  // The logarithm of the density at `place`.
  double LogDensity(const Place& place) const;

 private:
  struct Gaussian {
    double mean = 0.5;
    double deviation = 1;
    // Of the distribution function at both ends of the scale.
    double below = 0;
    double above = 1;
    // Of the density: log(deviation * (above - below) * sqrt(2 pi)), and log(above - below).
    double log_norm = 0;
    double log_mass = 0;
  };
  // Of one dimension, by kernel.
  struct Factors {
    std::vector<Gaussian> gaussians;
    std::vector<int> choices;  // kPrior: that of no trial
    // Of a kernel's own choice and of each other one.
    double log_own = 0;
    double log_other = 0;
    double own = 0;
    int64_t count = 0;
  };

  static Gaussian Cut(double mean, double deviation);
  static Factors GaussianFactors(size_t d, const std::vector<const Place*>& trials);
  static Factors ChoiceFactors(size_t d, int64_t count, const std::vector<const Place*>& trials);
  static double LogFactor(const Factors& factors, size_t kernel, const Cell& cell);

  std::vector<double> cumulative_;
  std::vector<double> log_weights_;
  std::vector<Factors> factors_;  // by dimension
};

}  // namespace beamline::pipeline::search
