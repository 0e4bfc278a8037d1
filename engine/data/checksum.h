// XXH64 (Y. Collet, xxHash specification 0.1.1, seed 0): guards against damage, not against intent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace beamline::engine::data {

// Some 10 GB/s on one core.
uint64_t Xxh64(std::span<const std::byte> bytes);

}  // namespace beamline::engine::data
