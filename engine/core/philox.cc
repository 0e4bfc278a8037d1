#include "engine/core/philox.h"

#include <numeric>
#include <utility>

namespace beamline::engine {

PhiloxBlock Philox::Block(uint64_t counter) const {
  return Philox4x32(static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32),
                    static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32),
                    static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32));
}

uint64_t Philox::Bits(uint64_t counter) const {
  const PhiloxBlock block = Block(counter);
  return static_cast<uint64_t>(block.word[1]) << 32 | block.word[0];
}

float Philox::Uniform(uint64_t counter) const { return UniformFromBits(Block(counter).word[0]); }

uint64_t Philox::Below(uint64_t counter, uint64_t bound) const {
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(Bits(counter)) * bound) >> 64);
}

float Philox::Normal(uint64_t counter) const {
  const PhiloxBlock block = Block(counter);
  const float radius_uniform = 1.0f - UniformFromBits(block.word[0]);  // in (0, 1]
  return math::Sqrt(-2.0f * math::Log(radius_uniform)) *
         math::CosTurn(UniformFromBits(block.word[1]));
}

std::vector<int64_t> Philox::Permutation(int64_t size) const {
  std::vector<int64_t> order(static_cast<size_t>(size > 0 ? size : 0));
  Permute(order);
  return order;
}

void Philox::Permute(std::span<int64_t> order) const {
  std::iota(order.begin(), order.end(), int64_t{0});
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[Below(i, i + 1)]);
}

}  // namespace beamline::engine
