// Bytes that come one piece after the other: a file in memory, a decompressor.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace beamline::engine::data {

// A sequence of bytes that can be read again from its start. Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Fills `buffer` with the next bytes, fewer than `size` only at the end; returns how many.
  // Throws Error if the bytes cannot be had (a corrupt archive, a limit).
  virtual size_t Read(char* buffer, size_t size) = 0;
  // The next Read starts at the first byte again.
  virtual void Rewind() = 0;
  // All bytes, if they are in memory (then nobody needs to copy them); data() == nullptr if not.
  virtual std::string_view Memory() const { return {}; }
};

// Bytes in memory, which must outlive it.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
  size_t Read(char* buffer, size_t size) override {
    const std::string_view piece = bytes_.substr(position_, size);
    if (!piece.empty()) std::memcpy(buffer, piece.data(), piece.size());
    position_ += piece.size();
    return piece.size();
  }
  void Rewind() override { position_ = 0; }
  std::string_view Memory() const override { return bytes_; }

 private:
  std::string_view bytes_;
  size_t position_ = 0;
};

}  // namespace beamline::engine::data
