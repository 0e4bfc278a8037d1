// What an HDF5 file consists of. Internal to reading it (hdf5.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"

namespace beamline::pipeline {

// The bytes of a file; whatever leads out of them throws Error.
class Hdf5Bytes {
 public:
  explicit Hdf5Bytes(std::string_view bytes) : bytes_(bytes) {}

  std::string_view Piece(uint64_t at, uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) {
      engine::Fail("the HDF5 file is damaged or truncated: something lies beyond its end");
    }
    return bytes_.substr(at, size);
  }
  // Little-endian.
  template <typename T>
  T At(uint64_t at) const {
    T value;
    std::memcpy(&value, Piece(at, sizeof value).data(), sizeof value);
    return value;
  }
  size_t size() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
};

struct Hdf5Type {
  enum class Kind { kNumber, kBool, kFixedText, kVariableText };
  Kind kind = Kind::kNumber;
  std::string npy;      // kNumber: as NPY describes it, "<f8"
  uint32_t size = 0;    // of one value as it is stored; unit: bytes
  bool padded = false;  // kFixedText: with blanks
};

struct Hdf5Dataset {
  enum class Layout { kCompact, kContiguous, kChunked };
  std::string name;  // "group/name"
  std::vector<uint64_t> extents;
  Hdf5Type type;
  Layout layout = Layout::kContiguous;
  // Compact: where the values are in the file. Contiguous: the same, or kHdf5Nowhere. Chunked: the
  // root of the tree of chunks, or kHdf5Nowhere.
  uint64_t address = 0;
  uint64_t size = 0;                    // compact, contiguous; unit: bytes
  std::vector<uint32_t> chunk_extents;  // chunked
  std::vector<uint16_t> filters;        // chunked: in the order in which they were applied
  std::string fill;                     // of values that were never written; empty: zeros
};
inline constexpr uint64_t kHdf5Nowhere = ~uint64_t{0};
inline constexpr uint16_t kHdf5Deflate = 1, kHdf5Shuffle = 2, kHdf5Checksum = 3;

// All datasets but scalars, by name. Throws Error as ReadHdf5 does.
std::vector<Hdf5Dataset> ListHdf5(const Hdf5Bytes& bytes);

}  // namespace beamline::pipeline
