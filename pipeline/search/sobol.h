// Sobol's sequence: points that fill the unit cube more evenly than random ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace beamline::pipeline::search {

// Point `index` (from 0) in 32 bits for each of `dimensions` (at most 64) dimensions, divide by
// 2^32. In the order of the Gray code (Antonov and Saleev 1979), with the direction numbers of Joe
// and Kuo 2008: point 0 is the origin.
std::vector<uint32_t> SobolPoint(uint32_t index, int dimensions);

}  // namespace beamline::pipeline::search
