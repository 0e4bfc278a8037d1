#include "engine/data/checksum.h"

#include <bit>
#include <cstring>

namespace beamline::engine::data {
namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87, kPrime2 = 0xC2B2AE3D27D4EB4F,
                   kPrime3 = 0x165667B19E3779F9, kPrime4 = 0x85EBCA77C2B2AE63,
                   kPrime5 = 0x27D4EB2F165667C5;

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");

template <typename T>
T Load(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint64_t Round(uint64_t lane, uint64_t input) {
  return std::rotl(lane + input * kPrime2, 31) * kPrime1;
}

uint64_t MergeLane(uint64_t hash, uint64_t lane) {
  return (hash ^ Round(0, lane)) * kPrime1 + kPrime4;
}

}  // namespace

uint64_t Xxh64(std::span<const std::byte> bytes) {
  const std::byte* p = bytes.data();
  size_t left = bytes.size();
  uint64_t hash = kPrime5;
  if (left >= 32) {
    uint64_t lane1 = kPrime1 + kPrime2, lane2 = kPrime2, lane3 = 0, lane4 = -kPrime1;
    for (; left >= 32; p += 32, left -= 32) {
      lane1 = Round(lane1, Load<uint64_t>(p));
      lane2 = Round(lane2, Load<uint64_t>(p + 8));
      lane3 = Round(lane3, Load<uint64_t>(p + 16));
      lane4 = Round(lane4, Load<uint64_t>(p + 24));
    }
    hash = std::rotl(lane1, 1) + std::rotl(lane2, 7) + std::rotl(lane3, 12) + std::rotl(lane4, 18);
    hash = MergeLane(MergeLane(MergeLane(MergeLane(hash, lane1), lane2), lane3), lane4);
  }
  hash += bytes.size();
  for (; left >= 8; p += 8, left -= 8) {
    hash = std::rotl(hash ^ Round(0, Load<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  }
  if (left >= 4) {
    hash = std::rotl(hash ^ Load<uint32_t>(p) * kPrime1, 23) * kPrime2 + kPrime3;
    p += 4;
    left -= 4;
  }
  for (; left > 0; ++p, --left) {
    hash = std::rotl(hash ^ static_cast<uint64_t>(*p) * kPrime5, 11) * kPrime1;
  }
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

}  // namespace beamline::engine::data
