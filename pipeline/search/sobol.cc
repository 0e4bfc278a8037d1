#include "pipeline/search/sobol.h"

#include <array>
#include <cstddef>

#include "pipeline/search/sobol_polynomials.h"

namespace beamline::pipeline::search {
namespace {

using Directions = std::array<uint32_t, 32>;

// Bit 31 - i of direction i is the lowest that may be set.
Directions DirectionsOf(const SobolPolynomial& polynomial) {
  Directions v{};
  const int degree = polynomial.degree;
  for (int i = 0; i < 32; ++i) {
    if (degree == 0) {
      v[i] = uint32_t{1} << (31 - i);
    } else if (i < degree) {
      v[i] = polynomial.initial[i] << (31 - i);
    } else {
      v[i] = v[i - degree] ^ (v[i - degree] >> degree);
      for (int k = 1; k < degree; ++k) {
        if (polynomial.coefficients >> (degree - 1 - k) & 1) v[i] ^= v[i - k];
      }
    }
  }
  return v;
}

}  // namespace

std::vector<uint32_t> SobolPoint(uint32_t index, int dimensions) {
  const uint32_t gray = index ^ (index >> 1);
  std::vector<uint32_t> point(static_cast<size_t>(dimensions), 0);
  for (size_t d = 0; d < point.size(); ++d) {
    const Directions v = DirectionsOf(kSobolPolynomials[d]);
    for (int i = 0; i < 32; ++i) {
      if (gray >> i & 1) point[d] ^= v[i];
    }
  }
  return point;
}

}  // namespace beamline::pipeline::search
