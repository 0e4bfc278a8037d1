// Bytes of a checkpoint: written and read field by field, checked before anything is used.
//
//   8 bytes  "BLCKPT01"
//   fields   integers and doubles of 8 bytes, little-endian; strings and arrays after their length
//   8 bytes  checksum of all before it
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/tensor.h"
#include "engine/executor/variables.h"
#include "engine/learners/batch_source.h"

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

// Tells definitions apart (FNV-1a, 64 bits).
uint64_t FingerprintOf(std::string_view definition);

// The head of every checkpoint: which definition and how many training rows it belongs to. The
// second throws Error, saying what does not fit; without a fingerprint it takes any definition.
// `training` may be null.
void WriteHead(uint64_t fingerprint, const BatchSource* training, CheckpointWriter* out);
void CheckHead(std::optional<uint64_t> fingerprint, const BatchSource* training,
               CheckpointReader* in);

// Tensors by name, and all variables so.
void WriteTensors(const std::map<std::string, Tensor>& tensors, CheckpointWriter* out);
void WriteVariables(const Variables& variables, CheckpointWriter* out);
// Reads what one of the two wrote: each tensor must be like the variable of its name.
std::map<std::string, Tensor> ReadTensors(const Variables& variables, CheckpointReader* in);
// The same of all variables: throws Error if one lacks.
std::map<std::string, Tensor> ReadVariables(const Variables& variables, CheckpointReader* in);
// Puts what ReadVariables gave in their place.
void RestoreVariables(const std::map<std::string, Tensor>& tensors, Variables* variables);

}  // namespace beamline::engine
