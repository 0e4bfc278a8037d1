// Codes whose vectors lie near a point.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"

namespace beamline::engine {

// For each row of `points`, [rows, dimensions], the `count` codes with the largest cosine between
// their vector and the point, falling, the least code first of equal ones; fewer where there are no
// more. Codes whose vector is zero have no direction and are left out, and so are those of the
// row's own list in `except`. vectors: [codes, dimensions]. Throws Error if sizes do not fit.
std::vector<std::vector<int32_t>> NearestCodes(const Tensor& vectors, const Tensor& points,
                                               std::span<const std::vector<int32_t>> except,
                                               int64_t count);

}  // namespace beamline::engine
