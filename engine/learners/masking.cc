#include "engine/learners/masking.h"

namespace beamline::engine {
namespace {

// Of the seed: what is hidden in each step.
constexpr uint64_t kMaskStream = uint64_t{0x6D61736B} << 32;

}  // namespace

TokenMask::TokenMask(const MaskingSpec& spec, int64_t codes, uint64_t seed, uint64_t step)
    : spec_(spec), codes_(static_cast<uint64_t>(codes)), random_(seed, kMaskStream ^ step) {}

bool TokenMask::Hide(int64_t row, int64_t column, int32_t* code) const {
  if (*code <= 0) return false;
  // Rows are shorter than 2^24 codes.
  const PhiloxBlock drawn =
      random_.Block((static_cast<uint64_t>(row) << 24) | static_cast<uint64_t>(column));
  if (static_cast<double>(UniformFromBits(drawn.word[0])) >= spec_.share) return false;
  const auto u = static_cast<double>(UniformFromBits(drawn.word[1]));
  if (u < spec_.masked) {
    *code = 0;
  } else if (u < spec_.masked + spec_.random) {
    *code = static_cast<int32_t>(1 + ((drawn.word[2] * (codes_ - 1)) >> 32));
  }
  return true;
}

}  // namespace beamline::engine
