#include "base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace beamline {

std::string SystemRandom::Bytes(size_t count) {
  std::string bytes(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    const ssize_t got = getrandom(bytes.data() + filled, count - filled, 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();
    }
    filled += static_cast<size_t>(got);
  }
  return bytes;
}

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::string SeededRandom::Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    byte = static_cast<char>(z ^ (z >> 31));
  }
  return bytes;
}

}  // namespace beamline
