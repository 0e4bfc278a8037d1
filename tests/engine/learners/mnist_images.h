// Images of MNIST (LeCun et al. 1998) for tests; reading them needs gzip.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/learners/batch_source.h"

namespace beamline::engine::testing {

inline constexpr int64_t kPixels = 784;

// The folder of the data set, or "" if it is not there.
std::string MnistFolder();

// The first `rows` images of a file, pixels in [0, 1]; empty if there are not so many.
std::vector<float> ReadImages(const std::string& name, int64_t rows);

// Rows of pixels without target.
MemoryBatchSource SourceOf(const std::vector<float>& pixels);

}  // namespace beamline::engine::testing
