// Bytes of a checkpoint: written and read field by field, checked before anything is used.
//
//   8 bytes  "BLCKPT01"
//   fields   integers and doubles of 8 bytes, little-endian; strings and arrays after their length
//   8 bytes  checksum of all before it
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/tensor.h"

namespace beamline::engine {

// Appends fields; Finish seals. Not thread-safe.
class CheckpointWriter {
 public:
  // Appends to `bytes`, which must outlive this object and is cleared first.
  explicit CheckpointWriter(std::string* bytes);

  void Integer(uint64_t value);
  void Number(double value);
  void Text(std::string_view text);
  void Elements(const Tensor& tensor);
  void Finish();

 private:
  std::string& bytes_;
};

// Reads what CheckpointWriter wrote, in the same order. Every method throws Error if the bytes do
// not hold what is asked for: any bytes are safe to pass. Not thread-safe.
class CheckpointReader {
 public:
  // Throws Error if the frame or the checksum is wrong. `bytes` must outlive this object.
  explicit CheckpointReader(std::string_view bytes);

  uint64_t Integer();
  int64_t Count() { return static_cast<int64_t>(Integer()); }
  double Number();
  std::string_view Text();
  // Fills `tensor`; throws Error if another shape or type was written.
  void Elements(Tensor* tensor);
  // Throws Error if anything is left.
  void Finish() const;

 private:
  std::string_view Take(size_t size);

  std::string_view rest_;
};

}  // namespace beamline::engine
