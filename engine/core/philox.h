// Counter-based random numbers: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011.
//
// A number depends on (seed, stream, counter) and on nothing else: not on the numbers drawn
// before, the thread or the machine. So shuffling, dropout and initial weights are the same for
// every number of threads, and a resumed training needs no generator state.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/math.h"

namespace beamline::engine {

struct PhiloxBlock {
  uint32_t word[4];
};

// The ten rounds: key (k0, k1), counter words c0..c3. Host and device, any instruction set.
BEAMLINE_MATH PhiloxBlock Philox4x32(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1,
                                     uint32_t c2, uint32_t c3) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// 24 random bits as a float in [0, 1).
BEAMLINE_MATH float UniformFromBits(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 5.9604644775390625e-8f;
}

// A sequence of random numbers that is read by position. A value type without state: thread-safe.
class Philox {
 public:
  // Streams of one seed are independent. Any two numbers will do.
  Philox(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  // Four words for `counter`.
  PhiloxBlock Block(uint64_t counter) const;
  // 64 random bits.
  uint64_t Bits(uint64_t counter) const;
  // Uniform in [0, 1), 24 bits.
  float Uniform(uint64_t counter) const;
  // Uniform in {0, ..., bound - 1}; bound > 0. The bias is below bound / 2^64.
  uint64_t Below(uint64_t counter, uint64_t bound) const;
  // Standard normal (Box and Muller); |x| < 5.8. The same bits on every machine.
  float Normal(uint64_t counter) const;
  // A permutation of 0 .. size - 1 (Fisher and Yates, counters 1 .. size - 1).
  std::vector<int64_t> Permutation(int64_t size) const;
  // The same into `order`, without allocating.
  void Permute(std::span<int64_t> order) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

}  // namespace beamline::engine
