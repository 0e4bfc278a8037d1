// Unpredictable bytes, for secrets and ids. The engine's reproducible randomness is elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace beamline {

// Where random bytes come from. Thread-safe.
class Random {
 public:
  virtual ~Random() = default;
  // `count` bytes. Never fails: a system without randomness ends the process.
  virtual std::string Bytes(size_t count) = 0;
};

// The kernel's generator (getrandom).
class SystemRandom : public Random {
 public:
  std::string Bytes(size_t count) override;
};

// The same bytes for the same seed: for tests and the simulation only. Not thread-safe.
class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  std::string Bytes(size_t count) override;

 private:
  uint64_t state_;
};

}  // namespace beamline
