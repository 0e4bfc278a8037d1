// The layout of the columnar file, shared by its writer and its reader. Internal; docs/formats.md
// is the description.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/data/statistics.h"

namespace beamline::engine::data {

inline constexpr std::string_view kColumnarMagic = "BEAMCOL\n";
inline constexpr std::string_view kColumnarEndMagic = "BEAMEND\n";
inline constexpr uint32_t kColumnarVersion = 1;
// Everything starts at a multiple of it; the gaps are zero.
inline constexpr uint64_t kColumnarAlignment = 64;
inline constexpr uint64_t kColumnarHeaderBytes = 64;
inline constexpr uint64_t kColumnarFooterBytes = 64;
// Bytes of the footer that its checksum covers.
inline constexpr uint64_t kColumnarFooterChecked = 48;
inline constexpr size_t kMaxItemDimensions = 8;

inline uint64_t AlignUp(uint64_t offset) {
  return (offset + kColumnarAlignment - 1) / kColumnarAlignment * kColumnarAlignment;
}

inline int64_t ChunkCount(int64_t rows) { return (rows + kChunkRows - 1) / kChunkRows; }

}  // namespace beamline::engine::data
